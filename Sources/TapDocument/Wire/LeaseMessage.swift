public import TapCore

/// A line on a lease's connection. It comes with the descriptors of its queues (`SCM_RIGHTS`, unix(7)), in their order.
public struct LeaseMessage: Hashable, Sendable {
    /// The protocol behind the 101 (`Upgrade`, RFC 9110, section 7.8).
    public static let protocolName = "tapster-lease/1"

    public var lease: LeaseIdentifier
    public var device: DeviceName
    public var index: LinkIndex
    /// `nil` for the daemon's own.
    public var networkNamespace: NetworkNamespace?
    /// In bytes; `nil` for a device without a vnet header.
    public var vnetHeaderSize: Int?
    /// Indexes in Tapster's own numbering.
    public var queues: [Int]
    /// Whether no line with further queues follows.
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

    /// The JSON text with the line feed that ends it.
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
