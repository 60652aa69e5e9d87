public import TapCore

/// A tap or tun device that Tapster does not own. Its names and addresses are the kernel's, which allows more than a
/// spec.
public struct UnmanagedDocument: Hashable, Sendable {
    public var name: String
    public var index: LinkIndex
    /// `nil` for the daemon's own.
    public var networkNamespace: NetworkNamespace?
    public var kind: OpenEnum<DeviceKind>?
    public var multiQueue: Bool?
    public var packetInfo: Bool?
    public var vnetHeader: Bool?
    public var persistent: Bool?
    public var owner: UInt32?
    public var group: UInt32?
    /// Known for multiqueue devices only.
    public var attachedQueues: Int?
    public var detachedQueues: Int?
    public var up: Bool
    public var carrier: Bool
    /// In bytes.
    public var mtu: Int
    public var macAddress: MACAddress?
    /// The name of the bridge or VRF that it belongs to.
    public var controller: String?
    public var alias: String?
    public var altNames: [String]
    /// With their prefix lengths.
    public var addresses: [String]
    /// Who has descriptors of it, as far as the daemon may see.
    public var holders: [DescriptorHolder]
    /// What this kernel has of the attributes that not every kernel has, by their names in `spec.link`.
    public var attributes: [String: JSONValue]

    /// - Parameters:
    ///   - link: What the kernel says of it.
    ///   - networkNamespace: Where it is; `nil` for the daemon's own.
    ///   - controller: The name of the interface that it belongs to.
    ///   - addresses: What the kernel says of its addresses.
    ///   - holders: Who has descriptors of it.
    public init(
        _ link: ObservedLink, in networkNamespace: NetworkNamespace?, controller: String?, addresses: [ObservedAddress],
        holders: [DescriptorHolder]
    ) {
        let tun = link.tun
        name = link.name
        index = link.index
        self.networkNamespace = networkNamespace
        kind = tun.map { OpenEnum($0.kind) }
        multiQueue = tun?.multiQueue
        packetInfo = tun?.packetInfo
        vnetHeader = tun?.vnetHeader
        persistent = tun?.persistent
        owner = tun?.owner
        group = tun?.group
        attachedQueues = tun?.attachedQueues
        detachedQueues = tun?.detachedQueues
        up = link.up
        carrier = link.carrier
        mtu = link.mtu
        macAddress = link.macAddress
        self.controller = controller
        alias = link.alias
        altNames = link.altNames.sorted()
        self.addresses = addresses.map(\.address.description)
        self.holders = holders
        attributes = link.attributes.members
    }
}

extension UnmanagedDocument: AnswerDocument {
    public var document: JSONValue {
        func bool(_ value: Bool?) -> JSONValue { value.map { .bool($0) } ?? .null }
        func list(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
        let members: [String: JSONValue] = [
            "name": .string(name), "ifindex": .integer(Int(index.rawValue)),
            "networkNamespace": JSONValue(networkNamespace?.text), "kind": JSONValue(kind?.rawValue),
            "multiQueue": bool(multiQueue), "packetInfo": bool(packetInfo), "vnetHeader": bool(vnetHeader),
            "persistent": bool(persistent), "owner": JSONValue(owner.map { Int($0) }),
            "group": JSONValue(group.map { Int($0) }), "attachedQueues": JSONValue(attachedQueues),
            "detachedQueues": JSONValue(detachedQueues), "up": .bool(up), "carrier": .bool(carrier),
            "mtu": .integer(mtu), "macAddress": JSONValue(macAddress?.description),
            "controller": JSONValue(controller), "alias": JSONValue(alias), "altNames": list(altNames),
            "addresses": list(addresses), "holders": .array(holders.map(\.document)),
        ]
        return .object(members.merging(attributes) { member, _ in member })
    }

    /// The names that `attributes` may have: of the link's fields, those that have no member of their own here.
    private static let attributeKeys = {
        let others = ["up", "carrier", "mtu", "macAddress", "controller", "alias", "altNames", "addresses"]
        return DeviceField.allCases.filter { $0.rawValue.hasPrefix("link.") }.map(\.key).filter { !others.contains($0) }
    }()

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        name = try reader.value("name")
        index = try reader.value("ifindex")
        networkNamespace = try reader.optional("networkNamespace")
        kind = try reader.optional("kind")
        multiQueue = try reader.optional("multiQueue")
        packetInfo = try reader.optional("packetInfo")
        vnetHeader = try reader.optional("vnetHeader")
        persistent = try reader.optional("persistent")
        owner = try reader.optional("owner")
        group = try reader.optional("group")
        attachedQueues = try reader.optional("attachedQueues")
        detachedQueues = try reader.optional("detachedQueues")
        up = try reader.value("up")
        carrier = try reader.value("carrier")
        mtu = try reader.value("mtu")
        macAddress = try reader.optional("macAddress")
        controller = try reader.optional("controller")
        alias = try reader.optional("alias")
        altNames = try reader.list("altNames")
        addresses = try reader.list("addresses")
        holders = try reader.list("holders")
        attributes = [:]
        for key in Self.attributeKeys { attributes[key] = try reader.optional(key) }
    }
}

extension DescriptorHolder: AnswerDocument {
    public var document: JSONValue {
        [
            "pid": .integer(Int(process)), "command": .string(command), "descriptors": .integer(descriptors),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        self.init(
            process: try reader.value("pid"), command: try reader.value("command"),
            descriptors: try reader.value("descriptors"))
    }
}
