internal import TapCore
internal import TapStore

/// A device of which queues are leased: the one home of what is known of its queues. It exists as long as it has
/// leases. Used on the worker's thread only.
final class LeasedDevice {
    /// How often the kernel is asked until it answers the same twice.
    static let looksMax = 4

    let name: DeviceName
    private(set) var leases: [Lease] = []
    /// Where the kernel has its queues, by their index.
    private(set) var order = QueueOrder<Int>() {
        didSet { fewestSeen = min(fewestSeen, order.attached.count) }
    }
    /// The fewest that were attached at any time since the last look, by what we saw and did ourselves.
    private var fewestSeen = 0
    /// The fewest that the kernel has reported since the last look; `nil` when it reported none.
    private var fewestReported: Int?
    /// The CPUs that are set for the queue at a kernel index.
    private var receiveCPUs: [Int: [Int]] = [:]

    init(_ name: DeviceName) {
        self.name = name
    }

    /// The interface whose queues are leased.
    var place: LeasePlace? { leases.first?.place }

    func lease(_ id: LeaseIdentifier) -> Lease? { leases.first { $0.id == id } }

    /// The open queue with this index; `nil` when it is not leased.
    func queue(_ index: Int) -> (any KernelQueue)? { leases.lazy.compactMap { $0.queues[index] }.first }

    /// What readers see of its leases.
    var views: [LeaseView] { leases.map { LeaseView($0, order: order) } }

    func add(_ lease: Lease) { leases.append(lease) }

    func remove(_ lease: Lease) { leases.removeAll { $0 === lease } }

    // MARK: Order

    func attach(_ index: Int) { order.attach(index) }

    func detach(_ index: Int) { order.detach(index) }

    /// Goes on with the order that a former process noted.
    ///
    /// - Parameter noted: By kernel index; `nil` when it was not known.
    func resume(_ noted: [Int]?) {
        // What the kernel says then corrects it, of queues that are gone too.
        order = QueueOrder(attached: noted.map(Set.init) ?? Set(leases.flatMap(\.indexes)), order: noted)
    }

    /// Asks the kernel which queues are attached.
    ///
    /// - Returns: Leases whose queues are gone, with their interface.
    func notice() -> [Lease] {
        var (attached, lost) = attachedQueues()
        // One is asked after the other. A guest that detaches several just now would seem to have detached one from the
        // middle, so what is new is asked again until it stays.
        for _ in 1..<Self.looksMax where lost.isEmpty && attached != order.attached {
            let before = attached
            (attached, lost) = attachedQueues()
            if attached == before { break }
        }
        guard lost.isEmpty else { return lost }
        // Those that went may have gone before the others came.
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

    /// Whether queues are attached that are not ours.
    func notice(strangers: Bool) { order.notice(strangers: strangers) }

    /// The kernel has reported how many queues were attached at some time.
    func noteReported(fewest count: Int) { fewestReported = min(fewestReported ?? count, count) }

    /// Ends a look at the queues.
    func endLook() {
        // There were fewer than we knew of: some have been detached and attached again, and are in other places now.
        if let fewestReported, fewestReported < fewestSeen { order.lose() }
        fewestReported = nil
        fewestSeen = order.attached.count
    }

    // MARK: CPUs

    /// Which CPUs are set at these kernel indexes is not known, so they are to be set again.
    func forgetReceiveCPUs(at kernelIndexes: Range<Int>) {
        for kernelIndex in kernelIndexes { receiveCPUs[kernelIndex] = [] }
    }

    /// What is to be set so that CPUs follow the queues: the kernel has them by its own index. It counts as set from
    /// here on, since once it has failed it would fail again, and be reported each time.
    ///
    /// - Parameter assignments: By index.
    /// - Returns: By kernel index, the lowest first; no CPUs where none shall be set any more.
    func takeReceiveCPUChanges(_ assignments: [Int: Assignment]) -> [(kernelIndex: Int, cpus: [Int])] {
        var wanted: [Int: [Int]] = [:]
        // While the order is not known, no CPUs are set: they would receive another consumer's packets.
        for (kernelIndex, queue) in (order.known ?? []).enumerated() {
            if let cpus = assignments[queue]?.cpus, !cpus.isEmpty { wanted[kernelIndex] = cpus }
        }
        let changed = Set(wanted.keys).union(receiveCPUs.keys).sorted().filter { wanted[$0] != receiveCPUs[$0] }
        for kernelIndex in changed { receiveCPUs[kernelIndex] = wanted[kernelIndex] }
        return changed.map { ($0, wanted[$0] ?? []) }
    }
}
