package import Logging
internal import TapCore
package import TapDocument
internal import TapStore

/// Events and settled generations that wait to be written together: one transaction for many, and none between a
/// user's write and the next. What the database refuses waits until it takes it.
struct History {
    /// How long they may wait. A crash loses that much of the history, and no device.
    static let delayMillisecondsMax = 20
    /// How long a database that refused a write is left alone.
    static let retryMilliseconds = 500

    private var events: [EventRecord] = []
    private var settled: [DeviceIdentifier: Int] = [:]
    /// When to write; nothing when there is nothing to write.
    private(set) var due: ContinuousClock.Instant?

    mutating func add(_ events: [EventRecord], settled: [WorkerUpdate]) {
        guard !events.isEmpty || !settled.isEmpty else { return }
        self.events += events
        // The database would forget them too.
        self.events.removeFirst(max(0, self.events.count - HistoryLimits.eventsMax))
        for update in settled { self.settled[update.identifier] = update.settledGeneration }
        if due == nil { due = .now + .milliseconds(Self.delayMillisecondsMax) }
    }

    /// The database has refused a write: it shall be tried even if nothing happens.
    mutating func expectRecovery() {
        if due == nil { due = .now + .milliseconds(Self.retryMilliseconds) }
    }

    /// Writes what has gathered.
    ///
    /// - Parameters:
    ///   - store: The database.
    ///   - failure: Why it refused an earlier write. What ends that is a write to the very disk, and an event.
    ///   - committed: Called in the order of the commits.
    /// - Throws: `StoreError`; all is kept then, and due again a little later.
    mutating func write(
        to store: Store, recoveringFrom failure: String?, committed: () -> Void
    ) throws(StoreError) {
        CrashPoint.reach(CrashPoint.settle)
        let recovery = failure.map { failure in
            EventRecord(
                at: .now(), device: nil, severity: .warning, reason: .databaseRecovered,
                message: "the database takes changes again; it had refused one: \(failure)")
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
    /// What goes as it should is in the history; a line for each of a thousand devices would be noise.
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
