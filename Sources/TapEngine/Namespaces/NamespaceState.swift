internal import TapCore

/// One network namespace as the worker knows it.
final class NamespaceState {
    let location: NetworkNamespace?
    let kernel: any KernelNamespace
    private(set) var observed: ObservedNamespace
    /// What the kernel has said and was not looked at yet.
    var pendingSignals = KernelSignals()
    /// Names that we have made free: others may wait for them.
    private var freed: Set<String> = []
    /// Devices that wait for a controller, or for a place on it.
    private var waiting: [DeviceName: InterfaceName] = [:]
    /// Anchored devices that have had a consumer.
    private var consumed: Set<LinkIndex> = []

    init(_ location: NetworkNamespace?, kernel: any KernelNamespace) throws(KernelError) {
        self.location = location
        self.kernel = kernel
        observed = ObservedNamespace(host: kernel.host, location: location)
        try resync()
    }

    func resync() throws(KernelError) {
        pendingSignals = KernelSignals()
        freed = []
        // Whose interfaces they are is for the caller to say again. Taken over as a whole: half a look would show
        // devices without their addresses and anchors.
        var fresh = ObservedNamespace(host: kernel.host, location: location, links: try kernel.links())
        fresh.addresses = try kernel.addresses()
        fresh.anchored = kernel.anchored
        fresh.unverified = observed.unverified
        observed = fresh
        for link in observed.links { noteConsumers(of: link) }
    }

    /// Asks for the truth about some links.
    func refresh(_ indexes: [LinkIndex]) throws(KernelError) {
        observed.anchored = kernel.anchored
        observed.endPromises()
        guard !indexes.isEmpty else { return }
        let found = try kernel.links(at: indexes, outOf: observed.links.count)
        for index in indexes { observed.remove(index) }
        for link in found {
            observed.insert(link)
            noteConsumers(of: link)
        }
    }

    /// Asks for the truth about links that we have touched. A place that became free on a controller by that is news to
    /// those who wait for one; the kernel speaks of the port alone.
    func readBack(_ indexes: [LinkIndex]) throws(KernelError) {
        let before = indexes.compactMap { observed[$0] }
        try refresh(indexes)
        for link in before {
            freed.formUnion(Set(link.allNames).subtracting(observed[link.index]?.allNames ?? []))
            guard let controller = link.controller, observed[link.index]?.controller != controller else { continue }
            pendingSignals.touched.insert(controller)
        }
    }

    func refreshAddresses() throws(KernelError) {
        observed.addresses = try kernel.addresses()
    }

    /// Whether there is something to look at.
    var hasNews: Bool { pendingSignals != KernelSignals() || !freed.isEmpty }

    /// Looks at what the kernel spoke of.
    ///
    /// - Returns: The devices that it may concern.
    func refreshPending() throws(KernelError) -> Set<DeviceName> {
        let signals = pendingSignals
        pendingSignals = KernelSignals()
        var concerned: Set<DeviceName> = []
        let before = signals.touched.flatMap(names)
        let namesBefore = signals.touched.map { observed[$0]?.allNames ?? [] }
        try refresh(Array(signals.touched))
        for (index, names) in zip(signals.touched, namesBefore) {
            if let owner = observed.owners[index] { concerned.insert(owner) }
            // Under another name a controller is another one to its ports.
            if observed.ports(of: index) > 0, observed[index]?.allNames != names {
                concerned.formUnion(
                    observed.links.filter { $0.controller == index }.compactMap { observed.owners[$0.index] })
            }
        }
        let spokenOf = freed.union(before + signals.touched.flatMap(names))
        freed = []
        for name in spokenOf { if let device = try? DeviceName(name) { concerned.insert(device) } }
        for (device, controller) in waiting where spokenOf.contains(controller.text) { concerned.insert(device) }
        if signals.readdressed.contains(where: { observed.owners[$0] != nil }) {
            try refreshAddresses()
            concerned.formUnion(signals.readdressed.compactMap { observed.owners[$0] })
        }
        return concerned
    }

    /// The fewest attached queues of our devices, where the kernel has reported a number since this was last asked.
    func takeFewestQueues() -> [(owner: DeviceName, index: LinkIndex, count: Int)] {
        defer { pendingSignals.fewestQueues = [:] }
        return pendingSignals.fewestQueues.compactMap { index, count in
            observed.owners[index].map { ($0, index, count) }
        }
    }

    /// By any of them it may be in a device's way, or be its controller.
    private func names(of index: LinkIndex) -> [String] {
        guard let link = observed[index] else { return [] }
        // A port that comes or goes is of concern to those who wait for a place.
        let controller = link.controller.flatMap { observed[$0] }
        return link.allNames + (controller?.allNames ?? [])
    }

    // MARK: What plans promise and do

    func promisePort(of controller: LinkIndex) { observed.promisePort(of: controller) }

    func own(_ index: LinkIndex, _ name: DeviceName) {
        if observed.owners[index] != name, observed[index] != nil { observed.owners[index] = name }
    }

    /// The device shall be looked at when something happens to the controller; nothing ends that.
    func wait(_ name: DeviceName, for controller: InterfaceName?) {
        if waiting[name] != controller { waiting[name] = controller }
    }

    /// The device's settings are as we have set them.
    func trustSettings(of index: LinkIndex) {
        observed.unverified.remove(index)
    }

    /// The interfaces are gone, or nobody's any more.
    func disown(_ indexes: [LinkIndex]) {
        for index in indexes {
            observed.owners[index] = nil
            consumed.remove(index)
            observed.unverified.remove(index)
            kernel.abandon(index)
        }
        observed.anchored = kernel.anchored
    }

    private func noteConsumers(of link: ObservedLink) {
        guard let attached = link.tun?.attachedQueues, observed.anchored.contains(link.index) else { return }
        if attached > 0 {
            consumed.insert(link.index)
        } else if consumed.remove(link.index) != nil {
            observed.unverified.insert(link.index)
        }
    }
}
