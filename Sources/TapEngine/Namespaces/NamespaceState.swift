internal import TapCore

/// The worker's view of one network namespace.
final class NamespaceState {
    let location: NetworkNamespace?
    let kernel: any KernelNamespace
    private(set) var observed: ObservedNamespace
    /// Kernel notifications that have not been processed yet.
    var pendingSignals = KernelSignals()
    /// Interface names that our own changes have freed; other devices may wait for them.
    private var freed: Set<String> = []
    /// Devices whose controller is missing or has no free port, with the controller's name.
    private var waiting: [DeviceName: InterfaceName] = [:]
    /// Anchored devices that have had a consumer (see `ObservedNamespace.anchored`).
    private var consumed: Set<LinkIndex> = []

    init(_ location: NetworkNamespace?, kernel: any KernelNamespace) throws(KernelError) {
        self.location = location
        self.kernel = kernel
        observed = ObservedNamespace(host: kernel.host, location: location)
        try resync()
    }

    /// Reads all interfaces and addresses. Afterwards the caller must assign owners again.
    func resync() throws(KernelError) {
        pendingSignals = KernelSignals()
        freed = []
        // Assigned only once all reads succeeded: a partial one would show devices without their addresses and anchors.
        var fresh = ObservedNamespace(host: kernel.host, location: location, links: try kernel.links())
        fresh.addresses = try kernel.addresses()
        fresh.anchored = kernel.anchored
        fresh.unverified = observed.unverified
        observed = fresh
        for link in observed.links { noteConsumers(of: link) }
    }

    /// Reads some links from the kernel again.
    func refresh(_ indexes: [LinkIndex]) throws(KernelError) {
        observed.anchored = kernel.anchored
        observed.endReservations()
        guard !indexes.isEmpty else { return }
        let found = try kernel.links(at: indexes, outOf: observed.links.count)
        for index in indexes { observed.remove(index) }
        for link in found {
            observed.insert(link)
            noteConsumers(of: link)
        }
    }

    /// Reads links that we have changed from the kernel again. If a port left its controller, the controller counts as
    /// changed too, for devices that wait for a free port: the kernel notifies of the port only.
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

    /// Whether there are unprocessed notifications or freed names.
    var hasPendingChanges: Bool { pendingSignals != KernelSignals() || !freed.isEmpty }

    /// Reads the links again that pending notifications are about.
    ///
    /// - Returns: The devices that may be affected.
    func refreshPending() throws(KernelError) -> Set<DeviceName> {
        let signals = pendingSignals
        pendingSignals = KernelSignals()
        var affected: Set<DeviceName> = []
        let before = signals.touched.flatMap(names)
        let namesBefore = signals.touched.map { observed[$0]?.allNames ?? [] }
        try refresh(Array(signals.touched))
        for (index, names) in zip(signals.touched, namesBefore) {
            if let owner = observed.owners[index] { affected.insert(owner) }
            // When a controller is renamed, its ports no longer have the controller that they want.
            if observed.ports(of: index) > 0, observed[index]?.allNames != names {
                affected.formUnion(
                    observed.links.filter { $0.controller == index }.compactMap { observed.owners[$0.index] })
            }
        }
        let mentioned = freed.union(before + signals.touched.flatMap(names))
        freed = []
        for name in mentioned { if let device = try? DeviceName(name) { affected.insert(device) } }
        for (device, controller) in waiting where mentioned.contains(controller.text) { affected.insert(device) }
        if signals.readdressed.contains(where: { observed.owners[$0] != nil }) {
            try refreshAddresses()
            affected.formUnion(signals.readdressed.compactMap { observed.owners[$0] })
        }
        return affected
    }

    /// The fewest attached queues that the kernel has reported for our devices since the last call.
    func drainFewestQueues() -> [(owner: DeviceName, index: LinkIndex, count: Int)] {
        defer { pendingSignals.fewestQueues = [:] }
        return pendingSignals.fewestQueues.compactMap { index, count in
            observed.owners[index].map { ($0, index, count) }
        }
    }

    /// The names of a link and of its controller. A device may want any of them as its own name, or as its controller.
    private func names(of index: LinkIndex) -> [String] {
        guard let link = observed[index] else { return [] }
        // A port that joins or leaves matters to devices that wait for a free port.
        let controller = link.controller.flatMap { observed[$0] }
        return link.allNames + (controller?.allNames ?? [])
    }

    // MARK: State set by batches

    func reservePort(of controller: LinkIndex) { observed.reservePort(of: controller) }

    func own(_ index: LinkIndex, _ name: DeviceName) {
        guard observed.owners[index] != name, let link = observed[index] else { return }
        observed.owners[index] = name
        kernel.mark(link)
    }

    /// Has the device reconciled when its controller changes; `nil` ends that.
    func wait(_ name: DeviceName, for controller: InterfaceName?) {
        if waiting[name] != controller { waiting[name] = controller }
    }

    /// Marks the device's descriptor settings as known, since we have just set them.
    func trustSettings(of index: LinkIndex) {
        observed.unverified.remove(index)
    }

    /// Removes ownership of interfaces that are gone or no longer ours, with their marks and anchors.
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
