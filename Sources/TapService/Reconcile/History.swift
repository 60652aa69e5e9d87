internal import Logging
internal import TapCore
internal import TapDocument
internal import TapStore

/// Events and settled generations that wait to be written together: one transaction for many, and none between a
/// user's write and the next.
struct History {
    /// How long they may wait. A crash loses that much of the history, and no device.
    static let delayMillisecondsMax = 20

    private var events: [EventRecord] = []
    private var settled: [WorkerUpdate] = []
    private var since: ContinuousClock.Instant?

    var due: ContinuousClock.Instant? { since.map { $0 + .milliseconds(Self.delayMillisecondsMax) } }

    mutating func add(_ events: [EventRecord], settled: [WorkerUpdate]) {
        guard !events.isEmpty || !settled.isEmpty else { return }
        self.events += events
        self.settled += settled
        if since == nil { since = .now }
    }

    /// Writes what has gathered, and forgets it, written or not.
    mutating func write(to store: Store) throws(StoreError) {
        guard since != nil else { return }
        let history = self
        self = History()
        CrashPoint.reach(CrashPoint.settle)
        try store.record { transaction in
            for update in history.settled {
                try transaction.settle(update.identifier, generation: update.settledGeneration ?? 0)
            }
            for event in history.events { try transaction.append(event) }
        }
    }
}

extension Logger {
    func log(_ event: EventRecord) {
        var metadata: Metadata = ["reason": "\(event.reason)"]
        if let device = event.device { metadata["device"] = "\(device)" }
        if let difference = event.difference {
            metadata["field"] = "\(difference.field)"
            metadata["wanted"] = "\(difference.wanted.text)"
            metadata["observed"] = "\(difference.observed.text)"
        }
        log(level: event.severity == .warning ? .warning : .info, "\(event.message)", metadata: metadata)
    }
}
