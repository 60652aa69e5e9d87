/// An address of an interface as the kernel reports it.
public struct ObservedAddress: Hashable, Sendable {
    /// Who has added it (`IFA_PROTO`).
    public enum Origin: Hashable, Sendable {
        /// Tapster, which may remove it.
        case tapster
        /// The kernel: a link-local address, or one from a router advertisement.
        case kernel
        /// Another program.
        case other
    }

    /// Whether a program can use the address (bind(2)).
    public enum Use: Hashable, Sendable {
        /// It can, also while duplicate address detection still runs (`IFA_F_OPTIMISTIC`, RFC 4429).
        case usable
        /// Duplicate address detection has not ended, or has not begun (`IFA_F_TENTATIVE`).
        case tentative
        /// Another host has the address (`IFA_F_DADFAILED`). The kernel does not try again.
        case duplicate
    }

    /// With its prefix length.
    public let address: InterfaceAddress
    /// By whom it was added.
    public let origin: Origin
    /// Always `usable` for IPv4.
    public let use: Use

    public init(_ address: InterfaceAddress, origin: Origin, use: Use = .usable) {
        self.address = address
        self.origin = origin
        self.use = use
    }
}

/// The last observed state of one namespace: the input of plans.
public struct ObservedNamespace: Sendable {
    /// The boot and the namespace that were observed.
    public let host: NamespaceIdentity
    /// The configured location; `nil`: the daemon's own namespace.
    public let location: NetworkNamespace?
    /// Devices of which Tapster holds a detached descriptor.
    public var anchored: Set<LinkIndex> = []
    /// Interfaces without addresses may be missing.
    public var addresses: [LinkIndex: [ObservedAddress]] = [:]
    /// The settings that a new interface gets (`net.ipv4.conf.default`, `net.ipv6.conf.default`); `nil` if unknown.
    public var defaults: IPSettings?
    /// The device to which an interface belongs; only of Tapster's own interfaces.
    public var owners: [LinkIndex: DeviceName] = [:]
    /// Devices whose last consumer has gone and may have changed settings of which the kernel sends no notification.
    public var unverified: Set<LinkIndex> = []
    /// What other programs had set on devices' ports when they were last seen there, by the name of the bridge.
    public private(set) var rememberedPorts: [DeviceName: [String: [BridgePortSetting]]] = [:]
    private var byIndex: [LinkIndex: ObservedLink] = [:]
    private var indexByName: [String: LinkIndex] = [:]
    private var portsByController: [LinkIndex: Int] = [:]
    private var reservedPorts: [LinkIndex: Int] = [:]

    public init(host: NamespaceIdentity, location: NetworkNamespace? = nil, links: [ObservedLink] = []) {
        self.host = host
        self.location = location
        byIndex.reserveCapacity(links.count)
        for link in links { insert(link) }
    }

    /// In no particular order.
    public var links: some Collection<ObservedLink> { byIndex.values }

    /// `nil` if no interface has the number.
    public subscript(index: LinkIndex) -> ObservedLink? { byIndex[index] }

    /// Finds by main and alternative names, as `TUNSETIFF` does.
    public subscript(name: String) -> ObservedLink? {
        indexByName[name].flatMap { byIndex[$0] }
    }

    /// The number of interfaces that belong to a controller, promised ones included.
    public func ports(of controller: LinkIndex) -> Int {
        (portsByController[controller] ?? 0) + (reservedPorts[controller] ?? 0)
    }

    /// Notes what other programs have set on the port of a device that belongs to a bridge. A device that has left its
    /// bridge, or is gone, keeps what was noted.
    public mutating func rememberPort(_ index: LinkIndex) {
        guard let owner = owners[index], let link = byIndex[index], let controller = link.controller,
            let bridge = byIndex[controller], bridge.kind == ObservedLink.bridgeKind
        else { return }
        let settings = link.bridgePort
        guard rememberedPorts[owner]?[bridge.name] ?? [] != settings else { return }
        rememberedPorts[owner, default: [:]][bridge.name] = settings.isEmpty ? nil : settings
    }

    /// Forgets the port of a device that is deleted.
    public mutating func forgetPort(of device: DeviceName) { rememberedPorts[device] = nil }

    /// Takes over what an earlier observation has noted.
    public mutating func keepPorts(of earlier: ObservedNamespace) { rememberedPorts = earlier.rememberedPorts }

    /// Counts a port before it joins, so that two plans of a batch do not use the last free place of a bridge.
    public mutating func reservePort(of controller: LinkIndex) { reservedPorts[controller, default: 0] += 1 }

    /// Drops the promises after the batch; the next observation counts the ports that have joined.
    public mutating func endReservations() { reservedPorts = [:] }

    /// A copy without an interface.
    public func without(_ index: LinkIndex) -> ObservedNamespace {
        var copy = self
        copy.remove(index)
        return copy
    }

    /// Adds an interface, or replaces the one with its number.
    public mutating func insert(_ link: ObservedLink) {
        remove(link.index)
        byIndex[link.index] = link
        for name in link.altNames { indexByName[name] = link.index }
        indexByName[link.name] = link.index
        if let controller = link.controller { portsByController[controller, default: 0] += 1 }
    }

    /// Removes an interface, if there is one with the number. A name that another interface has taken stays with it.
    public mutating func remove(_ index: LinkIndex) {
        guard let old = byIndex.removeValue(forKey: index) else { return }
        for name in [old.name] + old.altNames where indexByName[name] == index {
            indexByName[name] = nil
        }
        if let controller = old.controller { portsByController[controller, default: 1] -= 1 }
    }
}
