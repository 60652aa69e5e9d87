/// RFC 2863 operational state (`IFLA_OPERSTATE`), by its number on the wire.
public enum OperationalState: UInt8, Hashable, Sendable {
    case unknown = 0
    case notPresent, down, lowerLayerDown, testing, dormant, up
}

/// What the kernel says of an interface, whoever made it.
public struct ObservedLink: Hashable, Sendable {
    public var index: LinkIndex
    public var name: String
    public var altNames: [String] = []
    /// `IFLA_INFO_KIND`: `tun` for tap and tun devices alike, nothing for a hardware device.
    public var kind: String?
    public var up = false
    public var mtu = 0
    public var macAddress: MACAddress?
    public var transmitQueueLength = 0
    public var queueDiscipline = ""
    public var operationalState = OperationalState.unknown
    public var carrier = false
    /// The bridge or VRF that it belongs to (`IFLA_MASTER`).
    public var controller: LinkIndex?
    public var alias: String?
    /// `IFLA_GROUP`; zero is the default.
    public var group: UInt32 = 0
    /// Attributes that are only compared with a spec and listed, as far as this kernel has them.
    public var attributes: [LinkAttribute] = []
    /// Present on tap and tun devices.
    public var tun: ObservedTun?

    /// What the kernel shows of a field of `attributes`; `nil` if it does not have it.
    func attribute(of field: DeviceField) -> LinkAttribute? {
        attributes.first { $0.setting.field == field }
    }

    /// All by which it may be found.
    public var allNames: [String] { [name] + altNames }

    public init(index: LinkIndex, name: String) {
        self.index = index
        self.name = name
    }

    /// An interface as `TUNSETIFF` makes it (`tun_net_initialize()` in `drivers/net/tun.c`), before it has a number.
    init(fresh name: DeviceName, kind: DeviceKind) {
        self.init(index: LinkIndex(rawValue: 0), name: name.text)
        mtu = MTU.ethernet.value
        transmitQueueLength = kind == .tap ? 1_000 : 500
        queueDiscipline = "noop"
    }
}

/// What rtnetlink adds for a tap or tun device (`IFLA_INFO_DATA`, the `IFLA_TUN_` attributes).
///
/// The send buffer is not among it, and the vnet header's size and the offloads have to be asked for otherwise.
public struct ObservedTun: Hashable, Sendable {
    public var kind: DeviceKind
    public var packetInfo = false
    public var vnetHeader = false
    public var persistent = false
    public var multiQueue = false
    public var owner: UInt32?
    public var group: UInt32?
    /// Read through a held descriptor (`TUNGETVNETHDRSZ`), where there is one.
    public var vnetHeaderSize: Int?
    /// Read where a descriptor is held, as far as the kernel tells them (`Offloads.asShown`).
    public var offloads: Offloads?
    /// Queues to which the kernel steers. Known for multiqueue devices only.
    public var attachedQueues: Int?
    /// Queues that are held but detached, anchors among them. Known for multiqueue devices only.
    public var detachedQueues: Int?

    public init(kind: DeviceKind) {
        self.kind = kind
    }
}
