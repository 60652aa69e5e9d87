internal import TapDocument
internal import TapStore
internal import TapSystem

/// The thread on which users' writes wait for the disk, so that no connection thread does. Writes that wait at the same
/// time share a transaction and its fsync(2).
package final class WriteQueue: Sendable {
    /// The most waiting writes; above it a request is refused with `Refusal.tooManyWrites`.
    static let waitingMax = 256

    /// Called once the transaction is durable, to answer the client.
    package typealias Completion = () -> Void

    /// One request's write.
    package struct Write: Sendable {
        /// Decides and writes in its turn. If it throws, only what it wrote itself is undone.
        let turn: @Sendable (inout WriteGroup) throws(Refusal) -> Completion
        /// Called instead of the completion.
        let fail: @Sendable (Refusal) -> Void
    }

    private let thread: SerialThread<Write>

    init(store: Store, snapshots: SnapshotStore, inbox: WorkerInbox, metrics: EngineMetrics) {
        thread = SerialThread("tapster-writer", waitingMax: Self.waitingMax) { writes in
            WriteQueue.perform(writes, store: store, snapshots: snapshots, inbox: inbox, metrics: metrics)
        }
    }

    /// Queues a write.
    ///
    /// - Returns: False if too many wait.
    func add(_ write: Write) -> Bool { thread.add(write) }

    /// Adds an event to the history for something that has already happened.
    ///
    /// - Parameters:
    ///   - event: The event to add.
    ///   - completion: Called once, whether or not the event was written.
    func note(_ event: EventRecord, completion: @escaping @Sendable () -> Void) {
        let isAccepted = add(
            Write { (group) throws(Refusal) in
                group.record(event)
                return completion
            } fail: { _ in
                completion()
            })
        if !isAccepted { completion() }
    }

    /// Starts the thread.
    ///
    /// - Throws: `ThreadFailure` if it cannot be created.
    func start() throws(ThreadFailure) { try thread.start() }

    /// Finishes the waiting writes, and ends the thread.
    func stop() { thread.stop() }

    private static func perform(
        _ writes: [Write], store: Store, snapshots: SnapshotStore, inbox: WorkerInbox, metrics: EngineMetrics
    ) {
        var completions: [Completion] = []
        var committed = WriteGroup.State(snapshots.current)
        // If the group fails, its devices may be leased again.
        defer { snapshots.open(committed.closed) }
        let began = ContinuousClock.now
        CrashPoint.reach(CrashPoint.write)
        func commit(savepoints hasSavepoints: Bool) throws {
            try store.write { transaction in
                var group = WriteGroup(transaction, snapshots: snapshots, hasSavepoints: hasSavepoints)
                // The store repeats the transaction if the database was locked.
                completions = []
                let closed = committed.closed
                defer {
                    committed = group.state
                    committed.closed.formUnion(closed)
                }
                for write in writes { completions.append(try group.perform(write)) }
                try group.finish()
            } committed: { _ in
                guard committed.isDirty else { return }
                CrashPoint.reach(CrashPoint.written)
                metrics.commitDuration.observe(began.duration(to: .now))
                snapshots.publish(
                    committed.commits.map { ($0.changed, $0.revision) }, opening: committed.closed)
                snapshots.setStoreFailure(nil)
            }
        }
        do {
            do { try commit(savepoints: false) } catch is WriteGroup.NeedsSavepoints { try commit(savepoints: true) }
        } catch {
            let failure = error as? StoreError ?? .failed(detail: "\(error)")
            snapshots.setStoreFailure(failure.description)
            // The worker retries the database until it works again.
            inbox.wake()
            for write in writes { write.fail(.store(failure)) }
            return
        }
        let changed = committed.commits.flatMap(\.changed).map(\.name)
        if !changed.isEmpty { inbox.add(changed) }
        for completion in completions { completion() }
    }
}
