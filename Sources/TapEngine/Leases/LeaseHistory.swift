internal import TapCore
internal import TapDocument
internal import TapStore

/// The events of leases, at most some a minute for each user of a device: a client that leases and leaves in a loop
/// must not displace the rest of the history. What exceeds that is counted, and summarised in one event. Used on the
/// worker's thread.
struct LeaseHistory {
    /// The most events of one user's leases of one device in a minute, besides the summary.
    static let eventsPerMinuteMax = 20

    /// Who leases what: its events are bounded together.
    private struct Source: Hashable {
        let device: DeviceName
        let user: UInt32
    }

    fileprivate struct Counts {
        var events = 0
        /// Leases without an event of their own.
        var granted = 0
        var ended: [LeaseEnd: Int] = [:]
    }

    private var counts: [Source: Counts] = [:]
    private var hasOmitted = false
    /// The end of the minute that is counted.
    private var minuteEnd = ContinuousClock.now
    private var events: [EventRecord] = []

    /// When `drain` must be called for the next summary; `nil` if none is due.
    var due: ContinuousClock.Instant? { hasOmitted ? minuteEnd : nil }

    /// Notes that a client has received its queues.
    mutating func noteGrant(_ lease: LeaseView, at now: ContinuousClock.Instant) {
        guard admits(lease, at: now, else: { $0.granted += 1 }) else { return }
        add(lease, .leaseGranted, "\(lease.queuesText) leased by \(lease.record.holder)")
    }

    /// Notes that a lease has ended.
    mutating func noteEnd(_ lease: LeaseView, _ cause: LeaseEnd, at now: ContinuousClock.Instant) {
        guard admits(lease, at: now, else: { $0.ended[cause, default: 0] += 1 }) else { return }
        let message = "the lease of \(lease.queuesText) by \(lease.record.holder) has ended: \(cause.explanation)"
        add(lease, .leaseEnded, message, cause)
    }

    /// The events since the last call.
    mutating func drain(at now: ContinuousClock.Instant) -> [EventRecord] {
        if hasOmitted { endMinute(at: now) }
        defer { events = [] }
        return events
    }

    private mutating func admits(
        _ lease: LeaseView, at now: ContinuousClock.Instant, else count: (inout Counts) -> Void
    ) -> Bool {
        endMinute(at: now)
        let source = Source(device: lease.device, user: lease.user)
        counts[source, default: Counts()].events += 1
        if counts[source, default: Counts()].events <= Self.eventsPerMinuteMax { return true }
        count(&counts[source, default: Counts()])
        hasOmitted = true
        return false
    }

    private mutating func endMinute(at now: ContinuousClock.Instant) {
        guard now >= minuteEnd else { return }
        for (source, counts) in counts where counts.events > Self.eventsPerMinuteMax {
            events.append(
                EventRecord(
                    at: .now(), device: source.device, severity: .warning, reason: .leaseEventsOmitted,
                    message: counts.summary(of: source.user)))
        }
        counts = [:]
        hasOmitted = false
        minuteEnd = now + .seconds(60)
    }

    private mutating func add(
        _ lease: LeaseView, _ reason: EventReason, _ message: String, _ cause: LeaseEnd? = nil
    ) {
        events.append(
            EventRecord(
                at: .now(), device: lease.device, severity: cause?.isFailure == true ? .warning : .normal,
                reason: reason, message: message,
                lease: EventLease(LeaseDocument(lease), cause: cause?.rawValue)))
    }
}

extension LeaseHistory.Counts {
    fileprivate func summary(of user: UInt32) -> String {
        let causes = ended.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.value) \($0.key.rawValue)" }
        return "user \(user) leases and leaves very often: within a minute, \(granted) more leases were granted and "
            + "\(ended.values.reduce(0, +)) ended (\(causes.joined(separator: ", "))) than have events of their own"
    }
}

extension LeaseView {
    /// The queues, for messages.
    fileprivate var queuesText: String {
        queues.count == 1 ? "queue \(indexes[0])" : "queues \(indexes.rangeList)"
    }
}

extension LeaseEnd {
    /// Whether neither the client nor a request has ended it.
    fileprivate var isFailure: Bool {
        switch self {
        case .failed, .lost, .stopped, .unrestored: true
        case .unclaimed, .closed, .revoked, .deleted, .recreated, .changed: false
        }
    }

    /// The end of a sentence about the lease.
    fileprivate var explanation: String {
        switch self {
        case .unclaimed: "the client closed its connection before it received the queues"
        case .failed: "the queues could not be sent to the client"
        case .closed: "the client closed its connection, or its process ended"
        case .revoked: "it was revoked by a request"
        case .deleted: "the device was deleted"
        case .recreated: "the device was deleted and created again"
        case .changed: "a change of the device ended it"
        case .lost: "the interface was removed or moved outside Tapster"
        case .stopped: "the daemon stopped, and no supervisor keeps its descriptors"
        case .unrestored: "it could not be restored after a restart of the daemon"
        }
    }
}
