/// The flags of `TUNSETIFF` (`linux/if_tun.h`). The kernel fixes all but the NAPI flags when a device is created.
public struct CreationFlags: Hashable, Sendable {
    /// `IFF_TUN` or `IFF_TAP`.
    public let kind: DeviceKind
    /// `IFF_MULTI_QUEUE`.
    public let multiQueue: Bool
    /// The opposite of `IFF_NO_PI`.
    public let packetInfo: Bool
    /// `IFF_VNET_HDR`.
    public let vnetHeader: Bool
    /// `IFF_NAPI`, of each queue.
    public let napi: Bool
    /// `IFF_NAPI_FRAGS`, of each queue.
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

/// One change of the kernel's state or, for `claim` and `forget`, of the database. A plan is a list of steps.
public enum Step: Hashable, Sendable {
    /// Makes the device, not yet persistent, and keeps its first descriptor open. Fails for an existing name
    /// (`IFF_TUN_EXCL`).
    case create(CreationFlags)
    /// Opens a descriptor of an existing device. If it is the only one, this sets the device's flags. With `carrier`
    /// false, attaching does not turn the carrier on (`IFF_NO_CARRIER`).
    case attach(CreationFlags, carrier: Bool)
    /// `TUNSETOWNER`.
    case setOwner(UInt32)
    /// `TUNSETGROUP`.
    case setGroup(UInt32)
    /// `TUNSETVNETHDRSZ`.
    case setVnetHeaderSize(VnetHeaderSize)
    /// `TUNSETOFFLOAD`.
    case setOffloads(Offloads)
    /// Writes the claim, with the settings that only descriptors show, to the database.
    case claim(DescriptorSettings)
    /// Makes the device outlive its descriptors and the daemon (`TUNSETPERSIST`).
    case persist
    case setQueueDiscipline(QueueDiscipline)
    /// Sends one message, of which the kernel changes the MTU first, then the controller, and brings the link up last.
    case setLink(LinkChange)
    /// Sets again what other programs had set on the port of a bridge that the device has joined.
    case restorePort([BridgePortSetting])
    case addAltNames([AlternativeName])
    case removeAltNames([String])
    /// Writes what rtnetlink cannot set (`IPv6Settings.files`).
    case setIPv6(IPv6Settings)
    /// Removes the IPv6 routes that the kernel has made from router advertisements.
    case removeLearnedRoutes
    /// Without the detection of duplicates, an IPv6 address can be used at once (`IFA_F_NODAD`).
    case addAddress(InterfaceAddress, detectsDuplicates: Bool)
    case removeAddress(InterfaceAddress)
    /// Detaches the open descriptor and keeps it open.
    case anchor
    /// `IFLA_CARRIER`.
    case setCarrier(Bool)
    /// Closes the open descriptor.
    case release
    /// `RTM_DELLINK`.
    case delete
    /// Removes a deleted device from the database.
    case forget

    /// Whether the store does the step, not the kernel.
    public var isForStore: Bool {
        switch self {
        case .claim, .forget: true
        default: false
        }
    }

    /// The name in logs, metrics and crash points; the set is closed.
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
        case .restorePort: "restore_port"
        case .addAltNames: "add_alt_names"
        case .removeAltNames: "remove_alt_names"
        case .setIPv6: "set_ipv6"
        case .removeLearnedRoutes: "remove_learned_routes"
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
