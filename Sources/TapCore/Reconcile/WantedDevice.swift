/// All that a plan needs to know of a device as somebody wants it.
public struct WantedDevice: Hashable, Sendable {
    public let name: DeviceName
    public let identifier: DeviceIdentifier
    public let spec: DeviceSpec
    public let isDeletionRequested: Bool
    /// The owner that the kernel shall enforce: the daemon's own user where access is brokered.
    public let owner: UInt32?
    public let group: UInt32?
    public let claim: Claim?
    /// Whether this very spec had been reached: what differs now is somebody else's doing.
    public let isReached: Bool
    /// Whether somebody has asked for what needs a new device.
    public let recreate: Bool

    public init(
        name: DeviceName, identifier: DeviceIdentifier, spec: DeviceSpec, isDeletionRequested: Bool = false,
        owner: UInt32? = nil, group: UInt32? = nil, claim: Claim? = nil, isReached: Bool = false,
        recreate: Bool = false
    ) {
        self.name = name
        self.identifier = identifier
        self.spec = spec
        self.isDeletionRequested = isDeletionRequested
        self.owner = owner
        self.group = group
        self.claim = claim
        self.isReached = isReached
        self.recreate = recreate
    }

    /// An anchor costs a descriptor and an RCU wait, so only the devices that earn it have one: those that others open
    /// by name, and those whose carrier shall stay on without a consumer. A single-queue device cannot have one, since
    /// its only queue would be taken.
    public var wantsAnchor: Bool {
        spec.queues.isMultiple && (spec.access == .open || spec.link.carrier == .on)
    }

    /// The MAC address to keep: the spec's, or the one that belongs to the device. A tun has none.
    public var macAddress: MACAddress? {
        guard spec.kind == .tap else { return nil }
        return spec.link.macAddress ?? MACAddress(derivedFrom: identifier)
    }
}
