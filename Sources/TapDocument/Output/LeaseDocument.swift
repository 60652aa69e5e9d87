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
    /// The user's name; `nil` if it has none.
    public var userName: String?
    /// The process's name at the time of the grant (`/proc/PID/comm`); `nil` if it could not be read.
    public var command: String?
    /// When the lease was granted.
    public var since: Timestamp

    public init(
        id: LeaseIdentifier, device: DeviceName, consumer: ConsumerName?, queues: [Int], process: Int32, user: UInt32,
        group: UInt32, userName: String?, command: String?, since: Timestamp
    ) {
        self.id = id
        self.device = device
        self.consumer = consumer
        self.queues = queues
        self.process = process
        self.user = user
        self.group = group
        self.userName = userName
        self.command = command
        self.since = since
    }
}

extension LeaseDocument: AnswerDocument {
    public var document: JSONValue {
        [
            "id": .string(id.text), "device": .string(device.text), "consumer": JSONValue(consumer?.text),
            "queues": .array(queues.map { .integer($0) }), "pid": .integer(Int(process)),
            "uid": .integer(Int(user)), "gid": .integer(Int(group)), "userName": JSONValue(userName),
            "command": JSONValue(command), "since": .string(since.text),
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
        userName = try reader.optional("userName")
        command = try reader.optional("command")
        since = try reader.value("since")
    }
}
