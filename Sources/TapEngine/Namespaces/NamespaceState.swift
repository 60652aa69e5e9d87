internal import TapCore

/// The worker's view of one network namespace.
final class NamespaceState {
    let location: NetworkNamespace?
    let kernel: any KernelNamespace
    private(set) var observed: ObservedNamespace
    /// Kernel notifications that have not been processed yet.
    private(set) var pendingSignals = KernelSignals()
    /// Interfaces that were proven to be those of their claims, and not reported as removed since.
    private var proven: Set<LinkIndex> = []
    /// Our interfaces that were reported as removed; others may have their numbers.
    private var removed: Set<LinkIndex> = []
    /// Where our interfaces were moved to that have not been deleted there.
    private var moves: [LinkIndex: LinkMove] = [:]
    /// Interface names that our own changes have freed; other devices may wait for them.
    private var freed: Set<String> = []
    /// Devices whose controller is missing or has no free port, with the controller's name.
    private var waiting: [DeviceName: InterfaceName] = [:]
    /// Anchored and single-queue devices that have had a consumer (see `ObservedNamespace.unverified`).
    private var consumed: Set<LinkIndex> = []

    init(_ location: NetworkNamespace?, kernel: any KernelNamespace) throws(KernelError) {
        self.location = location
        self.kernel = kernel
        observed = ObservedNamespace(host: kernel.host, location: location)
        try resync()
        // Consumers may have come and gone while no daemon ran.
        observed.unverified = Set(observed.links.filter { $0.tun != nil }.map(\.index))
    }

    /// Adds notifications of the kernel to the pending ones.
    func receive(_ signals: KernelSignals) {
        pendingSignals.merge(signals)
        if signals.wasOverrun { proven = [] }
        guard !signals.removed.isEmpty else { return }
        proven.subtract(signals.removed)
        for index in signals.removed where observed.owners[index] != nil {
            removed.insert(index)
            moves[index] = signals.moved[index]
        }
    }

    /// Has a link read again, as after a notification.
    func touch(_ index: LinkIndex) { pendingSignals.touched.insert(index) }

    /// Reads all interfaces and addresses. Afterwards the caller must assign owners again.
    func resync() throws(KernelError) {
        pendingSignals = KernelSignals()
        freed = []
        // Assigned only once all reads succeeded: a partial one would show devices without their addresses and anchors.
        var fresh = ObservedNamespace(host: kernel.host, location: location, links: try kernel.links())
        fresh.addresses = try kernel.addresses()
        fresh.anchored = kernel.anchored
        fresh.defaults = kernel.ipDefaults()
        fresh.unverified = observed.unverified
        fresh.keepPorts(of: observed)
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
        for link in found where link.controller != nil { observed.rememberPort(link.index) }
    }

    /// Reads links that we have changed from the kernel again. If a port left its controller, the controller counts as
    /// changed too, for devices that wait for a free port: the kernel notifies of the port only.
    func readBack(_ indexes: [LinkIndex]) throws(KernelError) {
        let before = indexes.compactMap { observed[$0] }
        try refresh(indexes)
        for link in before {
            freed.formUnion(Set(link.allNames).subtracting(observed[link.index]?.allNames ?? []))
            guard let controller = link.controller, observed[link.index]?.controller != controller else { continue }
            touch(controller)
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
        let linksBefore = signals.touched.map { observed[$0] }
        try refresh(Array(signals.touched))
        for (index, link) in zip(signals.touched, linksBefore) {
            if let owner = observed.owners[index] { affected.insert(owner) }
            // When a controller is renamed, its ports no longer have the controller that they want. Its MTU may be
            // followed by its ports, and their status says whose MTU and MAC address it has.
            let now = observed[index]
            if observed.ports(of: index) > 0,
                now?.allNames != link?.allNames || now?.mtu != link?.mtu || now?.macAddress != link?.macAddress
            {
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
        observed.rememberPort(index)
        kernel.mark(link)
    }

    /// Forgets what the namespace has noted about a deleted device.
    func forget(_ name: DeviceName) {
        wait(name, for: nil)
        observed.forgetPort(of: name)
    }

    /// Whether the interface was proven to be that of its claim (see `ClaimCheck`).
    func isProven(_ index: LinkIndex) -> Bool { proven.contains(index) }

    /// Whether the kernel has reported that our interface with this number was removed.
    func wasRemoved(_ index: LinkIndex) -> Bool { removed.contains(index) }

    /// Notes that the interface is that of its claim.
    func prove(_ index: LinkIndex) {
        proven.insert(index)
        removed.remove(index)
        moves[index] = nil
    }

    /// Where our interface with this number was moved to; `nil` if it was not.
    func move(of index: LinkIndex) -> LinkMove? { moves[index] }

    /// Forgets a moved interface.
    func endMove(of index: LinkIndex) { moves[index] = nil }

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
            proven.remove(index)
            removed.remove(index)
            observed.unverified.remove(index)
            kernel.abandon(index)
        }
        observed.anchored = kernel.anchored
    }

    private func noteConsumers(of link: ObservedLink) {
        guard let tun = link.tun else { return }
        let isConsumed: Bool
        if let attached = tun.attachedQueues {
            guard observed.anchored.contains(link.index) else { return }
            isConsumed = attached > 0
        } else {
            // The kernel does not report whether the only queue is open, but it gives the interface a carrier then.
            guard link.up else { return }
            isConsumed = link.carrier
        }
        if isConsumed {
            consumed.insert(link.index)
        } else if consumed.remove(link.index) != nil {
            observed.unverified.insert(link.index)
        }
    }
}
