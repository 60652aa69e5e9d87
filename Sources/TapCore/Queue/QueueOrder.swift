/// Where the kernel has each of a device's queues: a model, since no interface tells it.
///
/// The kernel keeps the attached queues in an array: an attach appends; a detach or close moves the last one into the
/// place that became free (`tun_attach()` and `__tun_detach()` in `drivers/net/tun.c`).
public struct QueueOrder<Queue: Hashable & Sendable>: Hashable, Sendable {
    /// Those to which the kernel steers.
    public private(set) var attached: Set<Queue> = []
    /// The attached queues by their kernel index; nothing while it cannot be known.
    private var order: [Queue]? = []
    /// Whether queues are attached of which we know nothing: they may be anywhere in between.
    public private(set) var hasStrangers = false

    /// No queue is attached.
    public init() {}

    /// As it was told by a former model.
    ///
    /// - Parameters:
    ///   - attached: The attached queues.
    ///   - order: The same by kernel index, if that was known.
    public init(attached: Set<Queue>, order: [Queue]?) {
        self.attached = attached
        self.order = order?.count == attached.count && order.map(Set.init) == attached ? order : nil
        settle()
    }

    /// All attached queues by kernel index, if that is known.
    public var known: [Queue]? { order }

    /// Where the kernel has the queue; nothing while it is detached, or when that cannot be known.
    public func kernelIndex(of queue: Queue) -> Int? { order?.firstIndex(of: queue) }

    public mutating func attach(_ queue: Queue) {
        guard attached.insert(queue).inserted else { return }
        order?.append(queue)
        settle()
    }

    /// A detach and a close do the same to the order.
    public mutating func detach(_ queue: Queue) {
        guard attached.remove(queue) != nil else { return }
        if let index = order?.firstIndex(of: queue), let last = order?.popLast(), last != queue { order?[index] = last }
        settle()
    }

    /// Somebody else has toggled queues, one or several, and we see what came of it.
    ///
    /// Where the outcome depends on an order of events that nobody saw, the order is not known from here on.
    public mutating func notice(attached now: Set<Queue>) {
        let (gone, new) = (attached.subtracting(now), now.subtracting(attached))
        guard !gone.isEmpty || !new.isEmpty else { return }
        let isCertain = isCertain(without: gone, with: new)
        for queue in gone { detach(queue) }
        for queue in new { attach(queue) }
        // Not before: with one queue left in between, its place would be known, and those of the next ones not.
        if !isCertain { lose() }
    }

    /// Queues have been toggled, and nobody knows how often, or in which order.
    public mutating func lose() {
        order = nil
        settle()
    }

    /// Others have queues attached, or have them no longer.
    public mutating func notice(strangers: Bool) {
        guard strangers != hasStrangers else { return }
        hasStrangers = strangers
        lose()
    }

    /// Whether all sequences of these changes come to the same order.
    private func isCertain(without gone: Set<Queue>, with new: Set<Queue>) -> Bool {
        guard let order, new.count <= 1 else { return false }
        // A queue in the part that stays keeps its place; those from the tail fill the holes in it, and with two holes
        // it is open which.
        let holes = order.prefix(order.count - gone.count).count(where: gone.contains)
        return new.isEmpty ? holes <= 1 : holes == 0
    }

    /// One queue can only be in one place, where no others are.
    private mutating func settle() {
        if attached.count <= 1, order == nil, !hasStrangers { order = Array(attached) }
    }
}
