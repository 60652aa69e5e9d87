public import TapCore

/// Body of `PUT /v1/devices/{name}/queues/{index}/assignment`.
public struct AssignmentInput: Hashable, Sendable {
    /// The consumer that gets the queue.
    public let consumer: ConsumerName
    /// CPUs for `rps_cpus` of the queue, sorted, without duplicates.
    public let cpus: [CPUNumber]

    /// - Parameter document: The request's body.
    /// - Throws: `InvalidDocument` with every mistake.
    public init(_ document: JSONValue) throws(InvalidDocument) {
        var reader = try ObjectReader(root: document)
        // A client may send back an assignment that it read; `assignedAt` is read-only.
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

/// Body of `POST /v1/devices/{name}/assignments`: `count` free queues for one consumer.
public struct FreeQueuesInput: Hashable, Sendable {
    /// The consumer and the CPUs of each queue.
    public let assignment: AssignmentInput
    /// Number of queues to assign.
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

/// Body of `PATCH /v1/devices/{name}/queues/{index}`.
public struct QueuePatch: Hashable, Sendable {
    /// `nil` leaves the queue unchanged.
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
    /// - Throws: `InvalidDocument` if the document is not an object; missing members are not reported then.
    fileprivate init(root document: JSONValue) throws(InvalidDocument) {
        self.init(document, at: "")
        guard issues.isEmpty else { throw InvalidDocument(issues) }
    }

    fileprivate mutating func consumer(_ key: String) -> ConsumerName? {
        if !has(key) { note(key, "is missing; name the consumer of the queue, such as vm-42") }
        return text(key) { (text) throws(ValidationError) in try ConsumerName(text) }
    }
}
