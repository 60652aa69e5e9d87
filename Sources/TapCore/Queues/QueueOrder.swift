/// A model of the order in which the kernel has a device's queues, since the kernel does not report it.
///
/// The kernel keeps the attached queues in an array: an attach appends; a detach or close moves the last queue into the
/// free place (`tun_attach()` and `__tun_detach()` in `drivers/net/tun.c`).
public struct QueueOrder<Queue: Hashable & Sendable>: Hashable, Sendable {
    /// The queues to which the kernel steers packets.
    public private(set) var attached: Set<Queue> = []
    /// The attached queues by kernel index; `nil` while it is unknown.
    private var order: [Queue]? = []
    /// Whether queues of other processes are attached. They may have any kernel index, so the order is unknown.
    public private(set) var hasForeignQueues = false

    /// No queue is attached.
    public init() {}

    /// Restores a stored model.
    ///
    /// - Parameters:
    ///   - attached: The attached queues.
    ///   - order: The same queues by kernel index; `nil` if unknown. Ignored if it does not match `attached`.
    public init(attached: Set<Queue>, order: [Queue]?) {
        self.attached = attached
        self.order = order?.count == attached.count && order.map(Set.init) == attached ? order : nil
        settle()
    }

    /// All attached queues by kernel index; `nil` if unknown.
    public var known: [Queue]? { order }

    /// The queue's place in the kernel's array; `nil` while it is detached, or if its place is unknown.
    public func kernelIndex(of queue: Queue) -> Int? { order?.firstIndex(of: queue) }

    /// Records that Tapster has attached a queue. No effect if it is attached already.
    public mutating func attach(_ queue: Queue) {
        guard attached.insert(queue).inserted else { return }
        order?.append(queue)
        settle()
    }

    /// Records a detach or a close, which have the same effect on the order.
    public mutating func detach(_ queue: Queue) {
        guard attached.remove(queue) != nil else { return }
        if let index = order?.firstIndex(of: queue), let last = order?.popLast(), last != queue { order?[index] = last }
        settle()
    }

    /// Records that consumers have toggled queues, each at most once; only the result was observed.
    ///
    /// If the new order depends on the unobserved sequence, it is unknown from here on.
    public mutating func notice(attached now: Set<Queue>) {
        let (gone, new) = (attached.subtracting(now), now.subtracting(attached))
        guard !gone.isEmpty || !new.isEmpty else { return }
        let isCertain = isCertain(without: gone, with: new)
        for queue in gone { detach(queue) }
        for queue in new { attach(queue) }
        // Last, since `settle()` would make the order known again if only one queue was left in between.
        if !isCertain { lose() }
    }

    /// Records that queues have been toggled an unknown number of times, or in an unknown sequence.
    public mutating func lose() {
        order = nil
        settle()
    }

    /// Records whether other processes have queues attached.
    public mutating func notice(foreignQueues: Bool) {
        guard foreignQueues != hasForeignQueues else { return }
        hasForeignQueues = foreignQueues
        lose()
    }

    /// Whether all sequences of these changes result in the same order.
    private func isCertain(without gone: Set<Queue>, with new: Set<Queue>) -> Bool {
        guard let order, new.count <= 1 else { return false }
        // Queues in the part of the array that remains keep their places. Those behind it fill its holes; with two
        // holes, which queue fills which hole depends on the sequence.
        let holes = order.prefix(order.count - gone.count).count(where: gone.contains)
        return new.isEmpty ? holes <= 1 : holes == 0
    }

    /// A single attached queue has index 0, unless other processes have queues too.
    private mutating func settle() {
        if attached.count <= 1, order == nil, !hasForeignQueues { order = Array(attached) }
    }
}
