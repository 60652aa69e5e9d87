/// Layer 2 or layer 3 (`IFF_TAP`, `IFF_TUN`).
public enum DeviceKind: String, CaseIterable, Hashable, Sendable {
    /// Ethernet frames.
    case tap
    /// IP packets: no MAC address, no bridge.
    case tun

    /// The largest MTU of this kind: 65,535 less the hard header (`tun_net_initialize()` in `drivers/net/tun.c`).
    public var mtuMax: Int {
        switch self {
        case .tap: 65_535 - 14
        case .tun: 65_535
        }
    }
}

/// Who opens the queues.
public enum DeviceAccess: String, CaseIterable, Hashable, Sendable {
    /// Tapster does, when somebody leases them; nobody else can open the device by name.
    case brokered
    /// The consumers do, by the device's name, as the spec's owner and group allow.
    case open
}

/// The old ABI with its one queue, or the multiqueue ABI (`IFF_MULTI_QUEUE`) with up to 255.
public enum QueueLayout: Hashable, Sendable {
    case single
    case multiple(QueueCount)

    public var isMultiple: Bool { self != .single }

    public var count: QueueCount {
        switch self {
        case .single: .one
        case .multiple(let count): count
        }
    }

    /// Whether it has such a queue, and the kernel can detach it: the old ABI's only queue stays attached.
    public func canDisable(_ queue: Int) -> Bool { isMultiple && (0..<count.value).contains(queue) }
}

/// What stands between the stack and the queues.
public enum QueueDiscipline: String, CaseIterable, Hashable, Sendable {
    /// None. The first ifup of a multiqueue device then costs 33 µs instead of 2 to 29 ms and 6.4 MiB.
    case noqueue
    /// Whatever `net.core.default_qdisc` says.
    case kernelDefault
}

/// Whether the interface has a carrier, without which nobody sends through it.
public enum CarrierPolicy: String, CaseIterable, Hashable, Sendable {
    /// While at least one queue is attached: a carrier without one is a black hole.
    case automatic
    /// Without a consumer too, for bridges that must not flap. An anchor keeps it.
    case on
    case off
}

/// Whether an interface that somebody else made may be taken over.
public enum AdoptionPolicy: String, CaseIterable, Hashable, Sendable {
    case never
    /// When its kind and what else is fixed at creation are as stated.
    case compatible
}

/// What is done about a field that somebody else has changed.
public enum DriftPolicy: String, CaseIterable, Hashable, Sendable {
    case repair
    /// It is told, and left as it is.
    case report
}

/// The wanted state of the network interface.
public struct LinkSpec: Hashable, Sendable {
    public var up = true
    public var mtu = MTU.ethernet
    /// Nothing means: derived from the device's identifier.
    public var macAddress: MACAddress?
    public var transmitQueueLength = TransmitQueueLength.standard
    public var queueDiscipline = QueueDiscipline.noqueue
    /// The bridge or VRF that the interface belongs to.
    public var controller: InterfaceName?
    public var alias: LinkAlias?
    /// All of them, sorted.
    public var altNames: [AlternativeName] = []
    /// Those that are ours to keep, sorted; others are left alone.
    public var addresses: [InterfaceAddress] = []
    public var carrier = CarrierPolicy.automatic

    public init() {}
}

/// The wanted state of a device, before anybody has looked whether its parts fit together.
public struct DeviceSpecDraft: Hashable, Sendable {
    public var kind = DeviceKind.tap
    public var queues = QueueLayout.multiple(.one)
    public var access = DeviceAccess.brokered
    /// Nothing means: the daemon's own.
    public var networkNamespace: NetworkNamespace?
    /// Four bytes of flags and protocol before each packet (the opposite of `IFF_NO_PI`).
    public var packetInfo = false
    /// A virtio-net header before each packet (`IFF_VNET_HDR`).
    public var vnetHeader = true
    public var vnetHeaderSize = VnetHeaderSize.mergeable
    /// Nothing means: checksum, tso4 and tso6 with a vnet header, none without.
    public var offloads: Offloads?
    /// For each queue that is leased. Nothing means: unlimited, the kernel's default.
    public var sendBuffer: SendBufferBytes?
    public var owner: Principal?
    public var group: Principal?
    /// Packets from the consumer go through NAPI (`IFF_NAPI`). For each queue that is leased.
    public var napi = false
    /// And through `napi_gro_frags` (`IFF_NAPI_FRAGS`).
    public var napiFrags = false
    public var link = LinkSpec()
    public var adoption = AdoptionPolicy.never
    public var driftPolicy = DriftPolicy.repair

    public init() {}
}

/// The wanted state of a device. One that the kernel could not make true cannot exist.
///
/// Every field is the draft's, under the draft's name: `spec.kind`, `spec.link`.
@dynamicMemberLookup
public struct DeviceSpec: Hashable, Sendable {
    /// Checked, and with its offloads filled in.
    @usableFromInline let draft: DeviceSpecDraft

    /// Inlined, so that a key path in the source becomes a plain load.
    @inlinable public subscript<Value>(dynamicMember field: KeyPath<DeviceSpecDraft, Value>) -> Value {
        draft[keyPath: field]
    }

    public var offloads: Offloads { draft.offloads ?? [] }

    /// - Throws: `SpecContradictions` with every pair of fields that cannot stand together.
    public init(_ draft: DeviceSpecDraft) throws(SpecContradictions) {
        var draft = draft
        if draft.offloads == nil { draft.offloads = draft.vnetHeader ? [.checksum, .tso4, .tso6] : [] }
        let found = draft.contradictions
        guard found.isEmpty else { throw SpecContradictions(found: found) }
        self.draft = draft
    }

    /// The fields that differ from `other` although the kernel fixes them when a device is created.
    public func immutableFieldsDiffering(from other: DeviceSpec) -> [DeviceField] {
        var fields: [DeviceField] = []
        if draft.networkNamespace != other.networkNamespace { fields.append(.networkNamespace) }
        if draft.kind != other.kind { fields.append(.kind) }
        if draft.queues.isMultiple != other.queues.isMultiple { fields.append(.multiQueue) }
        if draft.packetInfo != other.packetInfo { fields.append(.packetInfo) }
        if draft.vnetHeader != other.vnetHeader { fields.append(.vnetHeader) }
        // TUNSETOWNER and TUNSETGROUP take no "nobody": once set, an owner can be changed but not cleared.
        if draft.access == .open {
            if draft.owner == nil, other.kernelOwnerIsSet { fields.append(.owner) }
            if draft.group == nil, other.access == .open, other.group != nil { fields.append(.group) }
        }
        return fields
    }

    /// A brokered device belongs to the daemon's user, an open one to whom its spec names.
    private var kernelOwnerIsSet: Bool { draft.access == .brokered || draft.owner != nil }
}
