internal import TapCore
internal import TapStore

/// A device with leased queues, and all that is known of its queues. Exists while it has leases. Used on the worker's
/// thread only.
final class LeasedDevice {
    /// The most times that the kernel is asked until two answers in a row agree.
    static let looksMax = 4

    let name: DeviceName
    private(set) var leases: [Lease] = []
    /// The kernel's order of the attached queues.
    private(set) var order = QueueOrder<Int>() {
        didSet { fewestSeen = min(fewestSeen, order.attached.count) }
    }
    /// The fewest queues attached at any time since the last look, by our own observations and operations.
    private var fewestSeen = 0
    /// The fewest attached queues that the kernel has reported since the last look; `nil` if it reported none.
    private var fewestReported: Int?
    /// The CPUs that are set (`rps_cpus`), by kernel index.
    private var receiveCPUs: [Int: [Int]] = [:]

    init(_ name: DeviceName) {
        self.name = name
    }

    /// The interface whose queues are leased.
    var place: LeasePlace? { leases.first?.place }

    func lease(_ id: LeaseIdentifier) -> Lease? { leases.first { $0.id == id } }

    /// The open queue with this index; `nil` if it is not leased.
    func queue(_ index: Int) -> (any KernelQueue)? { leases.lazy.compactMap { $0.queues[index] }.first }

    /// The leases as the snapshot shows them.
    var views: [LeaseView] { leases.map { LeaseView($0, order: order) } }

    func add(_ lease: Lease) { leases.append(lease) }

    func remove(_ lease: Lease) { leases.removeAll { $0 === lease } }

    // MARK: Order

    func attach(_ index: Int) { order.attach(index) }

    func detach(_ index: Int) { order.detach(index) }

    /// Restores the order that the previous process recorded.
    ///
    /// - Parameter noted: Queue indexes by kernel index; `nil` if the order was unknown.
    func resume(_ noted: [Int]?) {
        // The next answers of the kernel correct it, also for queues that are gone.
        order = QueueOrder(attached: noted.map(Set.init) ?? Set(leases.flatMap(\.indexes)), order: noted)
    }

    /// Asks the kernel which queues are attached.
    ///
    /// - Returns: Leases whose queues no longer exist because their interface is gone.
    func refreshAttachedQueues() -> [Lease] {
        var (attached, lost) = attachedQueues()
        // Queues are asked one by one. If a guest detaches several meanwhile, the result could look as if it had
        // detached one from the middle. So a changed result is read again until two in a row agree.
        for _ in 1..<Self.looksMax where lost.isEmpty && attached != order.attached {
            let before = attached
            (attached, lost) = attachedQueues()
            if attached == before { break }
        }
        guard lost.isEmpty else { return lost }
        // The detachments may have come before the attachments.
        fewestSeen = min(fewestSeen, order.attached.intersection(attached).count)
        order.notice(attached: attached)
        return []
    }

    private func attachedQueues() -> (Set<Int>, lost: [Lease]) {
        var attached: Set<Int> = []
        var lost: [Lease] = []
        for lease in leases {
            do throws(KernelError) {
                for (index, queue) in lease.queues where try queue.isAttached() { attached.insert(index) }
            } catch {
                lost.append(lease)
            }
        }
        return (attached, lost)
    }

    /// Notes whether queues are attached that Tapster has not leased.
    func notice(foreignQueues: Bool) { order.notice(foreignQueues: foreignQueues) }

    /// Notes a number of attached queues that the kernel has reported.
    func noteReported(fewest count: Int) { fewestReported = min(fewestReported ?? count, count) }

    /// Ends a look at the queues: the order becomes unknown if queues were detached and attached again since the last.
    func endLook() {
        // The kernel has reported fewer than we saw, so some were detached and attached again, which changed their
        // places.
        if let fewestReported, fewestReported < fewestSeen { order.lose() }
        fewestReported = nil
        fewestSeen = order.attached.count
    }

    // MARK: CPUs

    /// Forgets which CPUs are set at these kernel indexes, so that they are set again.
    func forgetReceiveCPUs(at kernelIndexes: Range<Int>) {
        for kernelIndex in kernelIndexes { receiveCPUs[kernelIndex] = [] }
    }

    /// Computes the CPUs to set after queues have moved: the kernel has CPUs by its own index. The result counts as set
    /// from here on, because a failed attempt would fail again and be logged each time.
    ///
    /// - Parameter assignments: By queue index.
    /// - Returns: The changes by ascending kernel index; an empty list clears the CPUs.
    func updateReceiveCPUs(_ assignments: [Int: Assignment]) -> [(kernelIndex: Int, cpus: [Int])] {
        var wanted: [Int: [Int]] = [:]
        // While the order is unknown, no CPUs are set: they would receive another consumer's packets.
        for (kernelIndex, queue) in (order.known ?? []).enumerated() {
            if let cpus = assignments[queue]?.cpus, !cpus.isEmpty { wanted[kernelIndex] = cpus }
        }
        let changed = Set(wanted.keys).union(receiveCPUs.keys).sorted().filter { wanted[$0] != receiveCPUs[$0] }
        for kernelIndex in changed { receiveCPUs[kernelIndex] = wanted[kernelIndex] }
        return changed.map { ($0, wanted[$0] ?? []) }
    }
}
