/// Whether the device carries layer 2 or layer 3 (`IFF_TAP`, `IFF_TUN`).
public enum DeviceKind: String, CaseIterable, Hashable, Sendable {
    /// Ethernet frames.
    case tap
    /// IP packets. It has no MAC address and cannot join a bridge.
    case tun

    /// The largest MTU in bytes: 65,535 less the link-layer header (`tun_net_initialize()` in `drivers/net/tun.c`).
    public var mtuMax: Int {
        switch self {
        case .tap: 65_535 - 14
        case .tun: 65_535
        }
    }
}

/// Which process opens the queues.
public enum DeviceAccess: String, CaseIterable, Hashable, Sendable {
    /// Tapster opens them and leases them to consumers; no other process without `CAP_NET_ADMIN` can open the device.
    case brokered
    /// Consumers open them by the device's name, as the spec's owner and group permit.
    case open
}

/// The single-queue ABI, or the multiqueue ABI (`IFF_MULTI_QUEUE`) with up to 255 queues.
public enum QueueLayout: Hashable, Sendable {
    /// Without `IFF_MULTI_QUEUE`.
    case single
    /// With `IFF_MULTI_QUEUE`.
    case multiple(QueueCount)

    /// Whether it is the multiqueue ABI, even with one queue.
    public var isMultiple: Bool { self != .single }

    /// One for the single-queue ABI.
    public var count: QueueCount {
        switch self {
        case .single: .one
        case .multiple(let count): count
        }
    }

    /// Whether the queue exists and the kernel can detach it. The single-queue ABI cannot detach its queue.
    public func canDisable(_ queue: Int) -> Bool { isMultiple && (0..<count.value).contains(queue) }
}

/// The queueing discipline between the network stack and the queues (tc(8)).
public enum QueueDiscipline: String, CaseIterable, Hashable, Sendable {
    /// No queueing. The first ifup of a multiqueue device then takes 33 µs instead of 2 to 29 ms and 6.4 MiB.
    case noqueue
    /// The kernel's own choice, by the sysctl `net.core.default_qdisc`. Only `noqueue` is replaced by it: any other
    /// qdisc that is found stays, since an operator may have set it.
    case kernelDefault
    /// Never set or removed: that of another program, or the kernel's own choice.
    case unmanaged
}

/// Whether Tapster decides to which controller the interface belongs.
public enum ControllerPolicy: String, CaseIterable, Hashable, Sendable {
    /// To `LinkSpec.controller`, and to none if that is `nil`.
    case managed
    /// Other programs decide: the interface may join, change and leave controllers.
    case unmanaged
}

/// Where the MTU comes from.
public enum MTUPolicy: String, CaseIterable, Hashable, Sendable {
    /// From `LinkSpec.mtu`.
    case stated
    /// From the bridge that the interface belongs to, and from `LinkSpec.mtu` while there is none.
    case controller
}

/// How far the host uses IPv6 on the interface, and is configured by what a consumer sends.
public enum IPv6Policy: String, CaseIterable, Hashable, Sendable {
    /// Only with the spec's addresses. No router advertisement, no autoconfiguration, no redirect, no link-local
    /// address; IPv6 is off without an IPv6 address in the spec.
    case stated
    /// Not at all.
    case off
    /// As the kernel and other programs set it.
    case kernelDefault
}

/// When the interface has a carrier; without one the kernel sends no packets through it.
public enum CarrierPolicy: String, CaseIterable, Hashable, Sendable {
    /// While at least one queue is attached. A carrier without a queue would lose all packets.
    case automatic
    /// Always, for bridges whose ports must not flap. An anchor keeps the carrier while no consumer is attached.
    case on
    /// Never.
    case off
}

/// Whether Tapster may take over an existing interface of the device's name.
public enum AdoptionPolicy: String, CaseIterable, Hashable, Sendable {
    case never
    /// If its kind and its other immutable fields match the spec.
    case compatible
}

/// What Tapster does about drift: a field that another process has changed.
public enum DriftPolicy: String, CaseIterable, Hashable, Sendable {
    /// Restore the wanted value.
    case repair
    /// Report the drift and leave it.
    case report
}

/// The wanted state of the network interface.
public struct LinkSpec: Hashable, Sendable {
    /// `IFF_UP`.
    public var up = true
    /// `IFLA_MTU`.
    public var mtu = MTU.ethernet
    /// Whether the bridge's MTU is used instead.
    public var mtuPolicy = MTUPolicy.stated
    /// `nil`: derived from the device's identifier.
    public var macAddress: MACAddress?
    /// `IFLA_TXQLEN`.
    public var transmitQueueLength = TransmitQueueLength.standard
    /// Set before the first ifup.
    public var queueDiscipline = QueueDiscipline.noqueue
    /// The bridge or VRF that the interface belongs to (`IFLA_MASTER`); `nil`: none.
    public var controller: InterfaceName?
    /// If `unmanaged`, `controller` is `nil`.
    public var controllerPolicy = ControllerPolicy.managed
    /// `IFLA_IFALIAS`; `nil`: none.
    public var alias: LinkAlias?
    /// All alternative names, sorted; any other is removed.
    public var altNames: [AlternativeName] = []
    /// The addresses that Tapster maintains, sorted; other addresses of the interface are left alone.
    public var addresses: [InterfaceAddress] = []
    /// Whether the kernel asks other hosts whether they have an IPv6 address before it uses it (RFC 4862); without,
    /// an address can be used at once (`IFA_F_NODAD`).
    public var duplicateAddressDetection = true
    /// What packets from the consumer may configure on the host.
    public var ipv6 = IPv6Policy.stated
    /// `IFLA_CARRIER`.
    public var carrier = CarrierPolicy.automatic
    /// The largest packet that the stack hands over unsegmented; `nil`: not managed.
    public var gsoMaxBytes: GSOMaxBytes?
    /// The same for IPv4 only (Linux 6.3); `nil`: not managed. The kernel sets it along with `gsoMaxBytes`.
    public var gsoIPv4MaxBytes: GSOMaxBytes?

    public init() {}
}

/// The wanted state of a device before its fields have been checked against each other.
public struct DeviceSpecDraft: Hashable, Sendable {
    /// Immutable.
    public var kind = DeviceKind.tap
    /// The count can change; the ABI is immutable.
    public var queues = QueueLayout.multiple(.one)
    /// Whether Tapster or the consumers open the queues.
    public var access = DeviceAccess.brokered
    /// `nil`: the daemon's own. Immutable.
    public var networkNamespace: NetworkNamespace?
    /// Four bytes of flags and protocol before each packet (the opposite of `IFF_NO_PI`). Immutable.
    public var packetInfo = false
    /// A virtio-net header before each packet (`IFF_VNET_HDR`). Immutable.
    public var vnetHeader = true
    /// Ignored without `vnetHeader`.
    public var vnetHeaderSize = VnetHeaderSize.mergeable
    /// `nil`: checksum, tso4 and tso6 with a vnet header, none without.
    public var offloads: Offloads?
    /// For each leased queue. `nil`: the kernel's default, which is unlimited.
    public var sendBuffer: SendBufferBytes?
    /// The user that may lease the queues or, with `access` `open`, open them; `nil`: none.
    public var owner: Principal?
    /// The group that may do so; `nil`: none.
    public var group: Principal?
    /// Packets from the consumer go through NAPI (`IFF_NAPI`). For each leased queue.
    public var napi = false
    /// They also go through `napi_gro_frags()` (`IFF_NAPI_FRAGS`).
    public var napiFrags = false
    /// The settings of the network interface.
    public var link = LinkSpec()
    /// Whether Tapster may take over an existing interface of the name.
    public var adoption = AdoptionPolicy.never
    /// What Tapster does about changes by other processes.
    public var driftPolicy = DriftPolicy.repair

    public init() {}
}
