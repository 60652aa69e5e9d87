/// The boot and the network namespace to which a link index belongs.
public struct NamespaceIdentity: Hashable, Sendable {
    /// `/proc/sys/kernel/random/boot_id`: different after each boot.
    public let boot: String
    /// `SO_NETNS_COOKIE`: unique within one boot.
    public let namespace: UInt64

    public init(boot: String, namespace: UInt64) {
        self.boot = boot
        self.namespace = namespace
    }
}

/// Settings of a device that rtnetlink does not report. They belong to the device and outlive its descriptors.
public struct DescriptorSettings: Hashable, Sendable {
    /// `TUNSETVNETHDRSZ`; `nil` without a vnet header, or if unknown.
    public var vnetHeaderSize: VnetHeaderSize?
    /// `TUNSETOFFLOAD`; `nil` if unknown, as for an adopted device.
    public var offloads: Offloads?

    /// The wanted settings.
    public init(_ spec: DeviceSpec) {
        vnetHeaderSize = spec.vnetHeader ? spec.vnetHeaderSize : nil
        offloads = spec.offloads
    }

    public init(vnetHeaderSize: VnetHeaderSize?, offloads: Offloads?) {
        self.vnetHeaderSize = vnetHeaderSize
        self.offloads = offloads
    }
}

/// The proof that Tapster made or adopted an interface.
///
/// It is written to the database before a new device becomes persistent, so that every persistent device of ours has a
/// claim. A crash before that leaves no device behind.
public struct Claim: Hashable, Sendable {
    /// The boot and the namespace of `index`.
    public let host: NamespaceIdentity
    /// The configured location of the namespace when the device was made; `nil`: the daemon's own.
    public let namespace: NetworkNamespace?
    /// The interface's number, unique within `host`.
    public let index: LinkIndex
    /// The inode of the interface's directory in sysfs, which no other interface gets before the next boot, even if it
    /// gets the same number; `nil` if the daemon could not read it.
    public var inode: UInt64?
    /// The settings made through a descriptor, as read back where the kernel reports them.
    public let settings: DescriptorSettings
    /// Whether the interface was found missing. Another interface may have its number now; the claim only records that
    /// the device existed in this namespace.
    public var isLost = false

    public init(
        host: NamespaceIdentity, namespace: NetworkNamespace? = nil, index: LinkIndex, inode: UInt64? = nil,
        settings: DescriptorSettings
    ) {
        self.host = host
        self.namespace = namespace
        self.index = index
        self.inode = inode
        self.settings = settings
    }
}
