/// The wanted state of a device: the input of a plan, together with `ObservedNamespace`.
public struct WantedDevice: Hashable, Sendable {
    /// Also the name of its network interface.
    public let name: DeviceName
    /// The device's `uid`, from which its MAC address may be derived.
    public let identifier: DeviceIdentifier
    /// The newest generation.
    public let spec: DeviceSpec
    /// Whether the device is to be deleted; the spec then has no effect.
    public let isDeletionRequested: Bool
    /// The user for `TUNSETOWNER`: the daemon's own if access is brokered; `nil`: none.
    public let owner: UInt32?
    /// The group for `TUNSETGROUP`; `nil`: none. If access is brokered, the daemon's own, set only where the device has
    /// another one.
    public let group: UInt32?
    /// `nil` if the device has not been made yet.
    public let claim: Claim?
    /// Whether the kernel has matched this generation of the spec before, so that new differences are drift.
    public let isReached: Bool
    /// Whether the request permits deleting and recreating the device (`recreate=true`).
    public let recreate: Bool
    /// The interface that is to be deleted, and made anew, whatever it is like; `nil`: none.
    public let replaced: LinkIndex?
    /// What the kernel matched before `spec`; empty if that is not known.
    private let earlier: [WantedDevice]

    /// The device with the spec that the kernel matched before, while `spec` is not reached and drift is only reported;
    /// `nil` if that is not known.
    var reached: WantedDevice? { earlier.first }

    public init(
        name: DeviceName, identifier: DeviceIdentifier, spec: DeviceSpec, isDeletionRequested: Bool = false,
        owner: UInt32? = nil, group: UInt32? = nil, claim: Claim? = nil, isReached: Bool = false,
        recreate: Bool = false, replaced: LinkIndex? = nil, reached: WantedDevice? = nil
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
        self.replaced = replaced
        earlier = reached.map { [$0] } ?? []
    }

    /// Whether Tapster holds an anchor: a detached descriptor of the device. It costs a descriptor and an RCU wait, so
    /// only devices that need it have one: those that consumers open by name, and those whose carrier must stay on
    /// without a consumer. A single-queue device cannot have one, since it would occupy the only queue.
    public var wantsAnchor: Bool {
        spec.queues.isMultiple && (spec.access == .open || spec.link.carrier == .on)
    }

    /// The spec's MAC address, or the one derived from the identifier; `nil` for a tun.
    public var macAddress: MACAddress? {
        guard spec.kind == .tap else { return nil }
        return spec.link.macAddress ?? MACAddress(derivedFrom: identifier)
    }
}
