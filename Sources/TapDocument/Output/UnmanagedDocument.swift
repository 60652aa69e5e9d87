public import TapCore

/// A tap or tun device that Tapster does not own; an item of GET /v1/unmanaged. Names and addresses are strings, since
/// the kernel allows values that a spec does not.
public struct UnmanagedDocument: Hashable, Sendable {
    /// Name of the interface.
    public var name: String
    /// The member `ifindex`.
    public var index: LinkIndex
    /// `nil` for the daemon's own.
    public var networkNamespace: NetworkNamespace?
    /// `nil` if the kernel reported no tun attributes (`IFLA_TUN_*`, linux/if_link.h), as all properties up to
    /// `detachedQueues`.
    public var kind: OpenEnum<DeviceKind>?
    /// `IFF_MULTI_QUEUE` (linux/if_tun.h).
    public var multiQueue: Bool?
    /// Whether packets have a `struct tun_pi` header, that is, without `IFF_NO_PI`.
    public var packetInfo: Bool?
    /// `IFF_VNET_HDR`.
    public var vnetHeader: Bool?
    /// Whether the device outlives its descriptors (`TUNSETPERSIST`).
    public var persistent: Bool?
    /// User ID; `nil` if there is no owner.
    public var owner: UInt32?
    /// Group ID; `nil` if there is no group.
    public var group: UInt32?
    /// Known for multiqueue devices only.
    public var attachedQueues: Int?
    /// Known for multiqueue devices only.
    public var detachedQueues: Int?
    /// Whether the interface is up (`IFF_UP`).
    public var up: Bool
    /// Whether the interface has a carrier.
    public var carrier: Bool
    /// In bytes.
    public var mtu: Int
    /// `nil` for a tun device.
    public var macAddress: MACAddress?
    /// Name of the bridge or VRF that it belongs to; `nil` if it belongs to none.
    public var controller: String?
    /// `nil` if there is none.
    public var alias: String?
    /// Alternative names, sorted.
    public var altNames: [String]
    /// With their prefix lengths.
    public var addresses: [String]
    /// Processes that hold descriptors of the device, as far as the daemon may see them.
    public var holders: [DescriptorHolder]
    /// Attributes that not every kernel has, by their names in `spec.link`; only those of this kernel.
    public var attributes: [String: JSONValue]

    /// - Parameters:
    ///   - link: The interface as observed.
    ///   - networkNamespace: Its network namespace; `nil` for the daemon's own.
    ///   - controller: Name of the interface that it belongs to.
    ///   - addresses: Its addresses as observed.
    ///   - holders: Processes that hold descriptors of it.
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
    /// The attributes are members beside the others.
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

    /// The keys that `attributes` may have: the fields of `spec.link` without a property of their own here.
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
            "pid": .integer(Int(process)), "uid": JSONValue(user.map { Int($0) }), "command": JSONValue(command),
            "descriptors": .integer(descriptors),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        self.init(
            process: try reader.value("pid"), user: try reader.optional("uid"), command: try reader.optional("command"),
            descriptors: try reader.value("descriptors"))
    }
}
