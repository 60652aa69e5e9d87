public import TapCore

/// A queue of a device as the API shows it.
public struct QueueDocument: Hashable, Sendable {
    /// In Tapster's numbering, from 0.
    public var index: Int
    /// Wanted state: whether the queue is attached while it is leased.
    public var isEnabled: Bool
    /// Its index in the kernel; `nil` while it is detached, or if the index is unknown.
    public var kernelIndex: Int?
    /// Whether the kernel steers packets to it.
    public var isAttached: Bool
    /// `nil` if the queue is not assigned.
    public var assignment: Assignment?
    /// `nil` if the queue is not leased.
    public var lease: LeaseIdentifier?

    public init(
        index: Int, isEnabled: Bool, kernelIndex: Int?, isAttached: Bool, assignment: Assignment?,
        lease: LeaseIdentifier?
    ) {
        self.index = index
        self.isEnabled = isEnabled
        self.kernelIndex = kernelIndex
        self.isAttached = isAttached
        self.assignment = assignment
        self.lease = lease
    }
}

extension QueueDocument: AnswerDocument {
    /// The member `statistics` is reserved, and always null.
    public var document: JSONValue {
        [
            "index": .integer(index), "enabled": .bool(isEnabled), "kernelIndex": JSONValue(kernelIndex),
            "attached": .bool(isAttached), "assignment": assignment?.document ?? .null,
            "lease": JSONValue(lease?.text), "statistics": .null,
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        index = try reader.value("index")
        isEnabled = try reader.value("enabled")
        kernelIndex = try reader.optional("kernelIndex")
        isAttached = try reader.value("attached")
        assignment = try reader.optional("assignment")
        lease = try reader.optional("lease")
    }
}

extension Assignment: AnswerDocument {
    public var document: JSONValue { .object(members) }

    fileprivate var members: [String: JSONValue] {
        [
            "consumer": .string(consumer.text), "cpus": .array(cpus.map { .integer($0) }),
            "assignedAt": .string(assignedAt.text),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        let cpus: [CPUNumber] = try reader.list("cpus")
        self.init(consumer: try reader.value("consumer"), cpus: cpus, assignedAt: try reader.value("assignedAt"))
    }
}

extension CPUNumber: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let number = try Int(json: json, at: pointer)
        do throws(ValidationError) { try self.init(number) } catch {
            throw InvalidDocument([FieldIssue(pointer: pointer, detail: error.detail)])
        }
    }
}

/// An assignment with its queue; an item of GET /v1/assignments.
public struct AssignedQueue: Hashable, Sendable {
    /// Name of the device.
    public var device: DeviceName
    /// Queue index in Tapster's numbering.
    public var queue: Int
    /// Consumer and CPUs.
    public var assignment: Assignment

    public init(device: DeviceName, queue: Int, assignment: Assignment) {
        self.device = device
        self.queue = queue
        self.assignment = assignment
    }
}

extension AssignedQueue: AnswerDocument {
    public var document: JSONValue {
        var members = assignment.members
        members["device"] = .string(device.text)
        members["queue"] = .integer(queue)
        return .object(members)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        device = try reader.value("device")
        queue = try reader.value("queue")
        assignment = try Assignment(json: json, at: pointer)
    }
}
