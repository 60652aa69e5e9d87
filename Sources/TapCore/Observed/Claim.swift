/// Which running kernel, and which network namespace of it, a link index belongs to.
public struct HostIdentity: Hashable, Sendable {
    /// `/proc/sys/kernel/random/boot_id`: another one after each boot.
    public let boot: String
    /// `SO_NETNS_COOKIE`: unique among all namespaces of one boot.
    public let namespace: UInt64

    public init(boot: String, namespace: UInt64) {
        self.boot = boot
        self.namespace = namespace
    }
}

/// Settings of a device that rtnetlink does not show. They belong to the device and outlive every descriptor.
public struct DescriptorSettings: Hashable, Sendable {
    public var vnetHeaderSize: VnetHeaderSize?
    /// Nothing when nobody knows, as with a device that was taken over.
    public var offloads: Offloads?

    public init(_ spec: DeviceSpec) {
        vnetHeaderSize = spec.vnetHeader ? spec.vnetHeaderSize : nil
        offloads = spec.offloads
    }

    public init(vnetHeaderSize: VnetHeaderSize?, offloads: Offloads?) {
        self.vnetHeaderSize = vnetHeaderSize
        self.offloads = offloads
    }
}

/// The proof that an interface is ours: written to the database while the new device is not yet persistent, so that
/// at no moment a persistent device of ours exists without it. Before that moment a crash leaves nothing behind.
public struct Claim: Hashable, Sendable {
    public let host: HostIdentity
    /// Where the namespace was found when the device was made.
    public let namespace: NetworkNamespace?
    public let index: LinkIndex
    /// What was set through a descriptor, and read back where the kernel lets us.
    public let settings: DescriptorSettings
    /// Whether the interface was seen to be gone: its number may be somebody else's by now, but that the device had
    /// been made here stays known.
    public var isLost = false

    public init(
        host: HostIdentity, namespace: NetworkNamespace? = nil, index: LinkIndex, settings: DescriptorSettings
    ) {
        self.host = host
        self.namespace = namespace
        self.index = index
        self.settings = settings
    }
}
