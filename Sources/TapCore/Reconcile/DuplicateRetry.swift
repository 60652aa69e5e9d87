/// When addresses that another host has are added again: at once when the consumer changes, since the other host may
/// have been the guest, and after a growing delay otherwise.
public struct DuplicateRetry<Consumers: Equatable & Sendable>: Sendable {
    private var consumers: Consumers
    private var backoff = Backoff()
    /// When to try again; `nil` while the detection runs.
    public private(set) var due: ContinuousClock.Instant?

    public init(_ consumers: Consumers) {
        self.consumers = consumers
    }

    /// Whether to try now.
    public func isDue(_ consumers: Consumers, at now: ContinuousClock.Instant) -> Bool {
        consumers != self.consumers || due.map { $0 <= now } == true
    }

    /// Notes that the addresses have been added again.
    public mutating func begin(_ consumers: Consumers) {
        if consumers != self.consumers { self = DuplicateRetry(consumers) }
        due = nil
    }

    /// Notes that another host has the addresses. Schedules the next try, unless it is scheduled already.
    public mutating func fail(at now: ContinuousClock.Instant, using generator: inout some RandomNumberGenerator) {
        if due == nil { due = now + backoff.next(using: &generator) }
    }
}
