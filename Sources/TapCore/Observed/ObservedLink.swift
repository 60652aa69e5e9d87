/// Operational state (RFC 2863, `IFLA_OPERSTATE`); the raw value is the number on the wire.
public enum OperationalState: UInt8, Hashable, Sendable {
    case unknown = 0
    case notPresent, down, lowerLayerDown, testing, dormant, up
}

/// An interface as rtnetlink reports it, whether Tapster made it or not.
public struct ObservedLink: Hashable, Sendable {
    /// `ifi_index`.
    public var index: LinkIndex
    /// `IFLA_IFNAME`.
    public var name: String
    /// `IFLA_ALT_IFNAME`, in the kernel's order.
    public var altNames: [String] = []
    /// `IFLA_INFO_KIND`: `tun` for tap and tun devices alike; `nil` for a hardware device.
    public var kind: String?
    /// `IFF_UP`.
    public var up = false
    /// `IFLA_MTU`, in bytes.
    public var mtu = 0
    /// `IFLA_ADDRESS`; `nil` for an interface without an Ethernet address.
    public var macAddress: MACAddress?
    /// `IFLA_TXQLEN`, in packets.
    public var transmitQueueLength = 0
    /// `IFLA_QDISC`, such as `noqueue`.
    public var queueDiscipline = ""
    /// `IFLA_OPERSTATE`.
    public var operationalState = OperationalState.unknown
    /// `IFLA_CARRIER`.
    public var carrier = false
    /// The bridge or VRF to which it belongs (`IFLA_MASTER`).
    public var controller: LinkIndex?
    /// Of a port of a bridge, what differs from a new port (`IFLA_INFO_SLAVE_DATA`).
    public var bridgePort: [BridgePortSetting] = []
    /// `IFLA_IFALIAS`.
    public var alias: String?
    /// `IFLA_GROUP`; the kernel's default is zero.
    public var group: UInt32 = 0
    /// What packets from the interface may configure (`IFLA_AF_SPEC`); `nil` if the kernel does not report it.
    public var ip: IPSettings?
    /// Attributes that Tapster only compares with a spec and lists; those that this kernel does not have are missing.
    public var attributes: [LinkAttribute] = []
    /// `nil` unless it is a tap or tun device.
    public var tun: ObservedTun?

    /// The `kind` of a bridge.
    static let bridgeKind = "bridge"
    /// The `kind` of a VRF.
    static let vrfKind = "vrf"

    /// Whether it can be the controller of a spec.
    public var canBeStated: Bool { kind == Self.bridgeKind || kind == Self.vrfKind }

    /// The attribute of a field in `attributes`; `nil` if the kernel does not have it.
    func attribute(of field: DeviceField) -> LinkAttribute? {
        attributes.first { $0.setting.field == field }
    }

    /// The main name and the alternative names.
    public var allNames: [String] { [name] + altNames }

    public init(index: LinkIndex, name: String) {
        self.index = index
        self.name = name
    }

    /// A new interface as `TUNSETIFF` makes it (`tun_net_initialize()` in `drivers/net/tun.c`). Its index is 0.
    init(fresh name: DeviceName, kind: DeviceKind, defaults: IPSettings?) {
        self.init(index: LinkIndex(rawValue: 0), name: name.text)
        ip = defaults
        mtu = MTU.ethernet.value
        transmitQueueLength = kind == .tap ? 1_000 : 500
        queueDiscipline = "noop"
    }
}

/// The part of an interface that only a tap or tun device has (`IFLA_INFO_DATA`, the `IFLA_TUN_` attributes).
///
/// rtnetlink does not report the send buffer, nor the vnet header's size and the offloads, which are read otherwise.
public struct ObservedTun: Hashable, Sendable {
    /// `IFLA_TUN_TYPE`.
    public var kind: DeviceKind
    /// `IFLA_TUN_PI`.
    public var packetInfo = false
    /// `IFLA_TUN_VNET_HDR`.
    public var vnetHeader = false
    /// `IFLA_TUN_PERSIST`.
    public var persistent = false
    /// `IFLA_TUN_MULTI_QUEUE`.
    public var multiQueue = false
    /// `IFLA_TUN_OWNER`; `nil` if not set.
    public var owner: UInt32?
    /// `IFLA_TUN_GROUP`; `nil` if not set.
    public var group: UInt32?
    /// In bytes, read through an anchor (`TUNGETVNETHDRSZ`); `nil` without one.
    public var vnetHeaderSize: Int?
    /// Read for devices with an anchor, as ethtool(8) reports them (`Offloads.asShown`); `nil` without one.
    public var offloads: Offloads?
    /// Queues to which the kernel steers packets (`IFLA_TUN_NUM_QUEUES`); `nil` unless multiqueue.
    public var attachedQueues: Int?
    /// Open but detached queues, anchors included (`IFLA_TUN_NUM_DISABLED_QUEUES`); `nil` unless multiqueue.
    public var detachedQueues: Int?

    public init(kind: DeviceKind) {
        self.kind = kind
    }
}
