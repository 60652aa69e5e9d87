package import Logging
internal import TapCore
package import TapDocument
internal import TapStore

/// Events and settled generations, collected to be written in one transaction, so that the worker does not write
/// between a user's write and the next. After a failed write they are kept for the next attempt.
struct History {
    /// The longest time before they are written. A crash loses up to that much history, but no device.
    static let delayMillisecondsMax = 20
    /// The time between attempts after a failed write.
    static let retryMilliseconds = 500

    private var events: [EventRecord] = []
    private var settled: [DeviceIdentifier: Int] = [:]
    /// When to write next; `nil` if there is nothing to write.
    private(set) var due: ContinuousClock.Instant?

    /// Adds events and settled generations to the next write.
    mutating func add(_ events: [EventRecord], settled: [WorkerUpdate]) {
        guard !events.isEmpty || !settled.isEmpty else { return }
        self.events += events
        // The database keeps no more than that either.
        self.events.removeFirst(max(0, self.events.count - HistoryLimits.eventsMax))
        for update in settled { self.settled[update.identifier] = update.settledGeneration }
        if due == nil { due = .now + .milliseconds(Self.delayMillisecondsMax) }
    }

    /// Schedules a write after a failed one, even if there is nothing to write.
    mutating func expectRecovery() {
        if due == nil { due = .now + .milliseconds(Self.retryMilliseconds) }
    }

    /// Writes what has been collected.
    ///
    /// - Parameters:
    ///   - store: The database.
    ///   - failure: Why an earlier write failed; `nil` if none did. The recovery is proved by a durable write, which
    ///     adds an event.
    ///   - committed: Called in the order of the commits.
    /// - Throws: `StoreError`; everything is then kept and written later.
    mutating func write(
        to store: Store, recoveringFrom failure: String?, committed: () -> Void
    ) throws(StoreError) {
        CrashPoint.reach(CrashPoint.settle)
        let recovery = failure.map { failure in
            EventRecord(
                at: .now(), device: nil, severity: .warning, reason: .databaseRecovered,
                message: "the database accepts writes again; an earlier one failed: \(failure)")
        }
        due = .now + .milliseconds(Self.retryMilliseconds)
        let history = self
        try store.record(durably: recovery != nil) { transaction in
            for (identifier, generation) in history.settled {
                try transaction.settle(identifier, generation: generation)
            }
            try transaction.append(history.events + (recovery.map { [$0] } ?? []))
        } committed: {
            committed()
        }
        self = History()
    }
}

extension Logger {
    /// Logs warnings at `warning` and other events at `debug`: those are in the history, and a line for each of a
    /// thousand devices would be noise.
    package func log(_ event: EventRecord) {
        let level: Level = event.severity.known == .warning ? .warning : .debug
        guard logLevel <= level else { return }
        var metadata: Metadata = ["reason": "\(event.reason)"]
        if let device = event.device { metadata["device"] = "\(device)" }
        if let difference = event.difference {
            metadata["field"] = "\(difference.field)"
            metadata["wanted"] = "\(difference.wanted.text)"
            metadata["observed"] = "\(difference.observed.text)"
        }
        log(level: level, "\(event.message)", metadata: metadata)
    }
}
