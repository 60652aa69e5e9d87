/// What the kernel fixes when a device is created, as `TUNSETIFF` takes it.
public struct CreationFlags: Hashable, Sendable {
    public let kind: DeviceKind
    public let multiQueue: Bool
    public let packetInfo: Bool
    public let vnetHeader: Bool
    public let napi: Bool
    public let napiFrags: Bool

    public init(kind: DeviceKind, multiQueue: Bool, packetInfo: Bool, vnetHeader: Bool) {
        self.kind = kind
        self.multiQueue = multiQueue
        self.packetInfo = packetInfo
        self.vnetHeader = vnetHeader
        napi = false
        napiFrags = false
    }

    public init(_ spec: DeviceSpec) {
        kind = spec.kind
        multiQueue = spec.queues.isMultiple
        packetInfo = spec.packetInfo
        vnetHeader = spec.vnetHeader
        napi = spec.napi
        napiFrags = spec.napiFrags
    }
}

/// One thing to do to the kernel or, for `claim` and `forget`, to the database. A plan is a list of them.
public enum Step: Hashable, Sendable {
    /// Makes the device, not yet persistent, and holds its first descriptor. Refuses an existing name (`IFF_TUN_EXCL`).
    case create(CreationFlags)
    /// Opens a descriptor of an existing device; pins or restores its flags. Attaching turns the carrier on unless
    /// told to leave it off (`IFF_NO_CARRIER`).
    case attach(CreationFlags, carrier: Bool)
    case setOwner(UInt32)
    case setGroup(UInt32)
    case setVnetHeaderSize(VnetHeaderSize)
    case setOffloads(Offloads)
    /// Writes the proof of ownership, and the settings that only descriptors show, to the database.
    case claim(DescriptorSettings)
    /// From here on the device outlives its descriptors, and the daemon.
    case persist
    case setQueueDiscipline(QueueDiscipline)
    /// One message, in which the kernel changes the MTU before it lets the link join a controller, and then brings it
    /// up.
    case setLink(LinkChange)
    case addAltNames([AlternativeName])
    case removeAltNames([String])
    case addAddress(InterfaceAddress)
    case removeAddress(InterfaceAddress)
    /// Detaches the held descriptor and keeps it.
    case anchor
    case setCarrier(Bool)
    /// Closes the held descriptor.
    case release
    case delete
    /// Removes the row of a device that is gone.
    case forget

    /// Done by the store, not by the kernel.
    public var isForStore: Bool {
        switch self {
        case .claim, .forget: true
        default: false
        }
    }

    /// A word for logs, metrics and crash points; the set is closed.
    public var name: String {
        switch self {
        case .create: "create"
        case .attach: "attach"
        case .setOwner: "set_owner"
        case .setGroup: "set_group"
        case .setVnetHeaderSize: "set_vnet_header_size"
        case .setOffloads: "set_offloads"
        case .claim: "claim"
        case .persist: "persist"
        case .setQueueDiscipline: "set_queue_discipline"
        case .setLink: "set_link"
        case .addAltNames: "add_alt_names"
        case .removeAltNames: "remove_alt_names"
        case .addAddress: "add_address"
        case .removeAddress: "remove_address"
        case .anchor: "anchor"
        case .setCarrier: "set_carrier"
        case .release: "release"
        case .delete: "delete"
        case .forget: "forget"
        }
    }
}
