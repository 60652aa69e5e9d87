/// An address as the kernel shows it.
public struct ObservedAddress: Hashable, Sendable {
    public let address: InterfaceAddress
    /// Whether it bears our mark (`IFA_PROTO`), so that we may remove it.
    public let isOurs: Bool

    public init(_ address: InterfaceAddress, isOurs: Bool) {
        self.address = address
        self.isOurs = isOurs
    }
}

/// All that plans need to know of one namespace, as last seen.
public struct ObservedNamespace: Sendable {
    /// The kernel and namespace that all of this comes from.
    public let host: HostIdentity
    public let location: NetworkNamespace?
    /// Devices of which we hold a detached descriptor.
    public var anchored: Set<LinkIndex> = []
    public var addresses: [LinkIndex: [ObservedAddress]] = [:]
    /// Whose interface a number is, of those that are ours.
    public var owners: [LinkIndex: DeviceName] = [:]
    /// Devices whose consumers may have changed what no notification tells, and have gone.
    public var unverified: Set<LinkIndex> = []
    private var byIndex: [LinkIndex: ObservedLink] = [:]
    private var indexByName: [String: LinkIndex] = [:]
    private var portsByController: [LinkIndex: Int] = [:]
    private var promisedPorts: [LinkIndex: Int] = [:]

    public init(host: HostIdentity, location: NetworkNamespace? = nil, links: [ObservedLink] = []) {
        self.host = host
        self.location = location
        byIndex.reserveCapacity(links.count)
        for link in links { insert(link) }
    }

    public var links: some Collection<ObservedLink> { byIndex.values }

    public subscript(index: LinkIndex) -> ObservedLink? { byIndex[index] }

    /// Finds by alternative names too: `TUNSETIFF` would match those as well.
    public subscript(name: String) -> ObservedLink? {
        indexByName[name].flatMap { byIndex[$0] }
    }

    /// How many interfaces belong to a controller, promised ones included.
    public func ports(of controller: LinkIndex) -> Int {
        (portsByController[controller] ?? 0) + (promisedPorts[controller] ?? 0)
    }

    /// Counts a port before it has joined, so that a batch of plans does not promise the same place twice.
    public mutating func promisePort(of controller: LinkIndex) { promisedPorts[controller, default: 0] += 1 }

    /// What was promised has been done, or not; the next look tells.
    public mutating func endPromises() { promisedPorts = [:] }

    /// As it would be if an interface were gone.
    public func without(_ index: LinkIndex) -> ObservedNamespace {
        var copy = self
        copy.remove(index)
        return copy
    }

    public mutating func insert(_ link: ObservedLink) {
        remove(link.index)
        byIndex[link.index] = link
        for name in link.altNames { indexByName[name] = link.index }
        indexByName[link.name] = link.index
        if let controller = link.controller { portsByController[controller, default: 0] += 1 }
    }

    public mutating func remove(_ index: LinkIndex) {
        guard let old = byIndex.removeValue(forKey: index) else { return }
        for name in [old.name] + old.altNames where indexByName[name] == index {
            indexByName[name] = nil
        }
        if let controller = old.controller { portsByController[controller, default: 1] -= 1 }
    }
}
