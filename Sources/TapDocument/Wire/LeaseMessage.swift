public import TapCore

/// A line on the connection of a lease, sent with the descriptors of its queues (`SCM_RIGHTS`, unix(7)) in this order.
public struct LeaseMessage: Hashable, Sendable {
    /// Name of the protocol after the response 101 (`Upgrade`, RFC 9110, section 7.8).
    public static let protocolName = "tapster-lease/1"

    /// Identifies the lease in `/v1/leases/{id}`.
    public var lease: LeaseIdentifier
    /// The device whose queues are leased.
    public var device: DeviceName
    /// The member `ifindex`.
    public var index: LinkIndex
    /// Network namespace of the device; `nil` for the daemon's own.
    public var networkNamespace: NetworkNamespace?
    /// In bytes; `nil` if the device has no vnet header.
    public var vnetHeaderSize: Int?
    /// Queue indexes in Tapster's numbering, in the order of the descriptors.
    public var queues: [Int]
    /// Whether this is the last line of the lease.
    public var isLast: Bool

    public init(
        lease: LeaseIdentifier, device: DeviceName, index: LinkIndex, networkNamespace: NetworkNamespace?,
        vnetHeaderSize: Int?, queues: [Int], isLast: Bool
    ) {
        self.lease = lease
        self.device = device
        self.index = index
        self.networkNamespace = networkNamespace
        self.vnetHeaderSize = vnetHeaderSize
        self.queues = queues
        self.isLast = isLast
    }

    /// The JSON text with a line feed at the end.
    public var line: [UInt8] { bytes + [UInt8(ascii: "\n")] }
}

extension LeaseMessage: AnswerDocument {
    public var document: JSONValue {
        [
            "lease": .string(lease.text), "device": .string(device.text), "ifindex": .integer(Int(index.rawValue)),
            "networkNamespace": JSONValue(networkNamespace?.text), "vnetHeaderSize": JSONValue(vnetHeaderSize),
            "queues": .array(queues.map { .integer($0) }), "last": .bool(isLast),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        lease = try reader.value("lease")
        device = try reader.value("device")
        index = try reader.value("ifindex")
        networkNamespace = try reader.optional("networkNamespace")
        vnetHeaderSize = try reader.optional("vnetHeaderSize")
        queues = try reader.value("queues")
        isLast = try reader.value("last")
    }
}
