public import TapCore

/// Whose a queue shall be.
public struct AssignmentInput: Hashable, Sendable {
    public let consumer: ConsumerName
    /// Sorted, each once.
    public let cpus: [CPUNumber]

    /// - Parameter document: The request's body.
    /// - Throws: `InvalidDocument` with every mistake.
    public init(_ document: JSONValue) throws(InvalidDocument) {
        var reader = try ObjectReader(root: document)
        // What was read may be sent back; since when it holds is not the sender's to say.
        reader.ignore("assignedAt")
        let assignment = Self.reading(&reader)
        let issues = reader.finish()
        guard issues.isEmpty, let assignment else { throw InvalidDocument(issues) }
        self = assignment
    }

    fileprivate static func reading(_ reader: inout ObjectReader) -> AssignmentInput? {
        let consumer = reader.consumer("consumer")
        let cpus = reader.numbers("cpus", CPUNumber.self)
        return consumer.map { AssignmentInput(consumer: $0, cpus: cpus) }
    }

    private init(consumer: ConsumerName, cpus: [CPUNumber]) {
        self.consumer = consumer
        self.cpus = cpus
    }
}

/// Whose some free queues shall be.
public struct FreeQueuesInput: Hashable, Sendable {
    public let assignment: AssignmentInput
    public let count: QueueCount

    /// - Parameter document: The request's body.
    /// - Throws: `InvalidDocument` with every mistake.
    public init(_ document: JSONValue) throws(InvalidDocument) {
        var reader = try ObjectReader(root: document)
        let assignment = AssignmentInput.reading(&reader)
        count = reader.integer("count", QueueCount.self) ?? .one
        let issues = reader.finish()
        guard issues.isEmpty, let assignment else { throw InvalidDocument(issues) }
        self.assignment = assignment
    }
}

/// What somebody changes of a queue.
public struct QueuePatch: Hashable, Sendable {
    /// Nothing leaves it as it is.
    public let isEnabled: Bool?

    /// - Parameter document: The request's body.
    /// - Throws: `InvalidDocument` with every mistake.
    public init(_ document: JSONValue) throws(InvalidDocument) {
        var reader = try ObjectReader(root: document)
        let isEnabled = reader.bool("enabled")
        let issues = reader.finish()
        guard issues.isEmpty else { throw InvalidDocument(issues) }
        self.isEnabled = isEnabled
    }
}

extension ObjectReader {
    /// - Throws: `InvalidDocument` when it is no object: of what it lacks then, nothing needs to be said.
    fileprivate init(root document: JSONValue) throws(InvalidDocument) {
        self.init(document, at: "")
        guard issues.isEmpty else { throw InvalidDocument(issues) }
    }

    fileprivate mutating func consumer(_ key: String) -> ConsumerName? {
        if !has(key) { note(key, "is missing; name who reads the queue, such as vm-42") }
        return text(key) { (text) throws(ValidationError) in try ConsumerName(text) }
    }
}
