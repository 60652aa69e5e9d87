/// Open queues of a device that belong to none of its leases, or exceed what its spec permits. Tapster's own
/// descriptors are not among them.
public struct StrayQueues: Hashable, Sendable {
    /// The kernel steers packets to them.
    public var attached = 0
    /// They get no packets, unless their holder attaches them.
    public var detached = 0
    /// The processes that hold the device open, without those that hold what they have leased; `nil` if none was found.
    public var holders: [DescriptorHolder]?

    /// Of both kinds.
    public var count: Int { attached + detached }

    public init(attached: Int = 0, detached: Int = 0, holders: [DescriptorHolder]? = nil) {
        self.attached = attached
        self.detached = detached
        self.holders = holders
    }

    /// Counts the stray queues of an interface.
    ///
    /// - Parameters:
    ///   - link: The device's interface.
    ///   - spec: The device's.
    ///   - leased: The leased queues. Consumers toggle their queues, so which of them are attached may have changed
    ///     since the interface was read; the sum is exact.
    ///   - isAnchored: Whether Tapster holds a detached queue of its own.
    public init(of link: ObservedLink, _ spec: DeviceSpec, leased: LeasedQueues, isAnchored: Bool) {
        guard let tun = link.tun else { return }
        guard let open = tun.attachedQueues, let idle = tun.detachedQueues else {
            // The kernel counts no queues of a single-queue device, but gives it a carrier while its queue is open.
            let isOpen = link.carrier && spec.link.carrier == .automatic && leased.count == 0
            attached = spec.access == .brokered && isOpen ? 1 : 0
            return
        }
        let others = open + max(0, idle - (isAnchored ? 1 : 0))
        let (all, active) =
            switch spec.access {
            case .brokered: (leased.count, leased.attached)
            case .open: (spec.queues.count.value, spec.queues.count.value)
            }
        let surplus = max(0, others - all)
        attached = min(surplus, max(0, open - active))
        detached = surplus - attached
    }
}

/// How many queues of a device are leased.
public struct LeasedQueues: Hashable, Sendable {
    /// All leased queues.
    public var count = 0
    /// Those to which the kernel steers packets.
    public var attached = 0

    public init(count: Int = 0, attached: Int = 0) {
        self.count = count
        self.attached = attached
    }
}
