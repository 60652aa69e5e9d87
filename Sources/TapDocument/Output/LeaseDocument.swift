public import TapCore

/// A lease as the API shows it.
public struct LeaseDocument: Hashable, Sendable {
    /// Identifies the lease in `/v1/leases/{id}`.
    public var id: LeaseIdentifier
    /// The device whose queues are leased.
    public var device: DeviceName
    /// The consumer that the request named; `nil` if it named none.
    public var consumer: ConsumerName?
    /// Queue indexes in Tapster's numbering, sorted.
    public var queues: [Int]
    /// Process ID of the connection's peer (`SO_PEERCRED`, unix(7)).
    public var process: Int32
    /// User ID of the peer.
    public var user: UInt32
    /// Group ID of the peer.
    public var group: UInt32
    /// When the lease was granted.
    public var since: Timestamp

    public init(
        id: LeaseIdentifier, device: DeviceName, consumer: ConsumerName?, queues: [Int], process: Int32, user: UInt32,
        group: UInt32, since: Timestamp
    ) {
        self.id = id
        self.device = device
        self.consumer = consumer
        self.queues = queues
        self.process = process
        self.user = user
        self.group = group
        self.since = since
    }
}

extension LeaseDocument: AnswerDocument {
    public var document: JSONValue {
        [
            "id": .string(id.text), "device": .string(device.text), "consumer": JSONValue(consumer?.text),
            "queues": .array(queues.map { .integer($0) }), "pid": .integer(Int(process)),
            "uid": .integer(Int(user)), "gid": .integer(Int(group)), "since": .string(since.text),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        id = try reader.value("id")
        device = try reader.value("device")
        consumer = try reader.optional("consumer")
        queues = try reader.value("queues")
        process = try reader.value("pid")
        user = try reader.value("uid")
        group = try reader.value("gid")
        since = try reader.value("since")
    }
}
