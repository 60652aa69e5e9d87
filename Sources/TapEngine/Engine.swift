internal import HashTreeCollections
package import Logging
package import TapCore
package import TapDocument
package import TapStore
package import TapSystem

/// Keeps the wanted state, observes the kernel's state, and runs the worker that makes the kernel match. The only
/// interface to the engine for other targets: apply, read, watch, lease, survey and wait. It is independent of the
/// protocol by which requests arrive.
package final class Engine: ChangeFeed {
    /// The most reads that may wait for the reader thread: of the history, backups and large documents.
    static let readsMax = 256

    /// Parses device documents.
    package let documents: DeviceReader
    /// What the engine counts and measures.
    package let metrics: EngineMetrics
    /// The names of clients' users.
    package let userNames: UserNames
    let store: Store
    let snapshots: SnapshotStore
    let inbox: WorkerInbox
    let writes: WriteQueue
    private let events: EventQueue
    private let trials: Trials
    private let applies: Apply
    private let readThread: SerialThread<@Sendable () -> Void>
    private let holders: HolderSearch
    private let worker: Worker

    /// - Parameters:
    ///   - kernel: After this call used only on the worker's thread.
    ///   - store: The database, opened and migrated.
    ///   - accounts: Resolves the names of owners and groups.
    ///   - metrics: The instruments to update.
    ///   - log: Receives events and failures.
    ///   - onChange: Called after devices have changed, on the thread that changed them.
    ///   - onReady: Called once, after the first full read of the kernel and the first attempt to make every device
    ///     match.
    /// - Throws: `StoreError` if the database cannot be read.
    package init(
        kernel: some Kernel, store: Store, accounts: some Accounts, metrics: EngineMetrics, log: Logger,
        onChange: @escaping @Sendable () -> Void, onReady: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        self.store = store
        self.metrics = metrics
        snapshots = SnapshotStore(onChange: onChange)
        inbox = WorkerInbox(waker: kernel.waker)
        userNames = UserNames(accounts)
        documents = DeviceReader(
            accounts: accounts, features: kernel.features, processors: kernel.processors)
        let (devices, revision) = try store.load()
        snapshots.load(devices, revision: revision)
        writes = WriteQueue(store: store, snapshots: snapshots, inbox: inbox, metrics: metrics)
        let events = EventQueue(writes)
        self.events = events
        readThread = SerialThread("tapster-reader", waitingMax: Self.readsMax) { for read in $0 { read() } }
        trials = try Trials(store: store, writes: writes)
        applies = Apply(inbox: inbox, trials: trials)
        holders = HolderSearch(kernel.holders)
        worker = Worker(
            kernel: kernel, store: store, snapshots: snapshots, inbox: inbox, accounts: accounts,
            survey: HolderSurvey(holders), metrics: metrics, log: log, record: { events.add($0) }, onReady: onReady)
    }

    /// Starts the threads.
    ///
    /// - Throws: `ThreadFailure` if the process cannot create more threads; the caller must then end the process.
    package func start() throws(ThreadFailure) {
        try startWriting()
        try worker.start()
    }

    /// Starts the writer and reader threads, without the worker.
    func startWriting() throws(ThreadFailure) {
        try writes.start()
        try readThread.start()
        try holders.start()
    }

    /// Finishes and answers the waiting reads and writes; no more are accepted. The first step of a shutdown.
    package func finishWrites() {
        store.stopWaiting()
        // The reads stop first: a read may add a write.
        readThread.stop()
        writes.stop()
        snapshots.endWaits()
    }

    /// Ends the worker after its current pass. Devices stay in the kernel, so that traffic continues.
    package func stop() {
        worker.stop()
        holders.stop()
        // A failure is known already: the worker has tried to write too.
        try? events.finish(store)
    }

    // MARK: Apply

    /// Applies many devices in one transaction, all or nothing.
    ///
    /// - Parameters:
    ///   - inputs: The wanted devices.
    ///   - author: Recorded in the history.
    ///   - options: Dry run, confirmation, recreation and force.
    ///   - prunes: Whether to delete a device that `inputs` does not name.
    ///   - reply: Called once, after the outcome is durable or the apply was refused; not called if this throws.
    /// - Throws: `Refusal.tooManyWrites`.
    package func apply(
        _ inputs: [DeviceInput], by author: Author, _ options: Apply.Options = Apply.Options(),
        prunes: @escaping @Sendable (DeviceRecord) -> Bool = { _ in false },
        reply: @escaping @Sendable (Result<Apply.Outcome, Refusal>) -> Void
    ) throws(Refusal) {
        try write { [applies] (group) throws(Refusal) in
            let outcome = try applies.write(inputs, by: author, options, in: &group, prunes: prunes)
            return {
                applies.committed(outcome)
                reply(.success(outcome))
            }
        } fail: {
            reply(.failure($0))
        }
    }

    /// Decides and writes an apply inside the turn of a `write`; that turn's completion must call `committed`.
    package func apply(
        _ inputs: [DeviceInput], by author: Author, _ options: Apply.Options, in group: inout WriteGroup,
        prunes: (DeviceRecord) -> Bool
    ) throws(Refusal) -> Apply.Outcome {
        try applies.write(inputs, by: author, options, in: &group, prunes: prunes)
    }

    /// Reports that the outcome of an apply is durable.
    package func committed(_ outcome: Apply.Outcome) { applies.committed(outcome) }

    /// Asks the worker which steps it would perform after an apply with this outcome, which is that of a dry run.
    ///
    /// - Throws: `Refusal.tooManyQuestions`; `reply` is then not called.
    package func plan(
        _ outcome: Apply.Outcome, reply: @escaping @Sendable (Result<[DevicePlan], Refusal>) -> Void
    ) throws(Refusal) {
        try applies.plan(outcome) { [readThread] result in
            // Rendering a large plan takes long.
            if !readThread.add({ reply(result) }) { reply(result) }
        }
    }

    /// Confirms a pending change inside the turn of a `write`; that turn's completion must call `trialEnded`.
    package func confirm(_ revision: Int, by author: Author, in group: inout WriteGroup) throws(Refusal) {
        try trials.confirm(revision, by: author, in: &group)
    }

    /// Rolls a pending change back inside the turn of a `write`; that turn's completion must call `trialEnded`.
    ///
    /// - Returns: The devices of the change as they are after the rollback.
    package func rollBack(
        _ revision: Int, because reason: String, by author: Author, in group: inout WriteGroup
    ) throws(Refusal) -> [DeviceRecord] {
        try trials.rollBack(revision, because: reason, by: author, in: &group)
    }

    /// Reports that the confirmation or rollback of a change is durable.
    package func trialEnded(_ revision: Int) { trials.ended(revision) }

    /// Queues a write: `turn` decides and writes on the writer's thread, and what it returns is called when the
    /// transaction is durable.
    ///
    /// - Parameters:
    ///   - turn: If it throws, what it wrote is undone.
    ///   - fail: Called with the error instead of the completion.
    /// - Throws: `Refusal.tooManyWrites`; neither closure is then called.
    package func write(
        _ turn: @escaping @Sendable (inout WriteGroup) throws(Refusal) -> WriteQueue.Completion,
        fail: @escaping @Sendable (Refusal) -> Void
    ) throws(Refusal) {
        if !writes.add(WriteQueue.Write(turn: turn, fail: fail)) { throw .tooManyWrites }
    }

    // MARK: Read

    /// The current snapshot.
    package var snapshot: Snapshot { snapshots.current }

    /// The current snapshot, with `storeFailure` set if the database has failed since the last write: `/readyz` and the
    /// metrics report it.
    package var health: Snapshot {
        if let failure = store.failure, snapshots.current.storeFailure == nil {
            snapshots.setStoreFailure(failure.description)
            // The worker retries the database until it works again.
            inbox.wake()
        }
        return snapshots.current
    }

    /// The number of changed devices that wait for a pass.
    package var waitingDevices: Int { inbox.depth }

    /// Runs `body` on the reader thread, which may wait for the database.
    ///
    /// - Returns: False if too many reads wait; `body` is then not run.
    package func read(_ body: @escaping @Sendable () -> Void) -> Bool { readThread.add(body) }

    /// Changes of the wanted state before a revision, newest first. For `read`'s thread.
    package func changes(before revision: Int, limit: Int) throws(StoreError) -> [PastChange] {
        try store.changes(before: revision, limit: limit)
    }

    /// The wanted state as a revision left it. For `read`'s thread.
    package func wantedState(at revision: Int) throws(StoreError) -> PastState { try store.wantedState(at: revision) }

    /// Events of the history after a number, oldest first. For `read`'s thread.
    package func events(
        after number: Int, device: DeviceName?, limit: Int
    ) throws(StoreError) -> [EventRecord] { try store.events(after: number, device: device, limit: limit) }

    /// Writes a checked copy of the database beside it. For `read`'s thread.
    ///
    /// - Returns: The copy.
    package func backUp() throws(StoreError) -> Backup { try store.backUp(at: .now()) }

    /// The size of the database's write-ahead log, in bytes; zero if it cannot be read.
    package var walBytes: Int { store.walBytes }

    // MARK: Watch

    /// Finds where a watch starts.
    ///
    /// - Parameter revision: The last revision that the client has seen; `nil` starts with all devices.
    /// - Returns: The position in the feed, and what the client knows there.
    /// - Throws: `Refusal.resourceVersionGone` if the changes since that revision are no longer kept.
    package func watch(after revision: Int?) throws(Refusal) -> WatchStart { try snapshots.start(after: revision) }

    /// The next change after a position.
    package func next(after place: WatchPosition) -> NextChange { snapshots.next(after: place) }

    // MARK: Lease

    /// Queues a lease command for the worker.
    ///
    /// - Throws: `Refusal.tooManyLeases`; the command is then neither carried out nor answered.
    package func perform(_ command: LeaseCommand) throws(Refusal) {
        if !inbox.add(command) { throw .tooManyLeases }
    }

    /// Ends a lease, and records it in the history.
    ///
    /// - Parameters:
    ///   - id: The lease.
    ///   - revocation: Whether to take from the consumer what it holds.
    ///   - author: For the history.
    ///   - reply: Called once, unless this throws: with `nil`, also if the event could not be recorded, since the lease
    ///     has ended all the same.
    /// - Throws: `Refusal.tooManyLeases`.
    package func revoke(
        _ id: LeaseIdentifier, _ revocation: Revocation, by author: Author,
        reply: @escaping @Sendable (Refusal?) -> Void
    ) throws(Refusal) {
        try perform(
            .revoke(id, revocation) { [writes] result in
                switch result {
                case .failure(let refusal): reply(refusal)
                case .success(let device):
                    let message =
                        revocation.recreate
                        ? "lease \(id) was revoked, and its interface deleted"
                        : "lease \(id) was revoked; its process may still hold the queues, and attach them again"
                    let event = EventRecord(
                        at: .now(), device: device, reason: .leaseRevoked, message: message, author: author)
                    writes.note(event) { reply(nil) }
                }
            })
    }

    // MARK: Survey

    /// Queues a question that only the worker can answer, after a full read of the kernel.
    ///
    /// - Parameters:
    ///   - retriesFailed: Whether to retry failed devices now instead of after their backoff.
    ///   - reply: Called on the worker's thread; with `nil` if the kernel cannot be read or the worker ends. It may
    ///     come some seconds later, since questions take only a part of the worker's time (`SurveyBudget`).
    /// - Throws: `Refusal.tooManyQuestions`; `reply` is then not called.
    package func survey(
        retryingFailed retriesFailed: Bool = false, reply: @escaping WorkerInbox.Question
    ) throws(Refusal) {
        if !inbox.ask(retryingFailed: retriesFailed, reply) { throw .tooManyQuestions }
    }

    /// Reports the tap and tun devices that Tapster does not own, after a full read of the kernel, with their holders.
    ///
    /// - Parameter reply: Called once, not on the worker's thread unless the kernel cannot be read.
    /// - Throws: `Refusal.tooManyQuestions`; `reply` is then not called.
    package func unmanaged(
        reply: @escaping @Sendable (Result<[HeldDevice], Refusal>) -> Void
    ) throws(Refusal) {
        try survey { [holders] survey in
            guard let devices = survey?.unmanaged() else { return reply(.failure(.noLook)) }
            let isAccepted = holders.find(Set(devices.map(\.link.name))) { holders in
                reply(.success(devices.map { HeldDevice(device: $0, holders: holders[$0.link.name] ?? []) }))
            }
            if !isAccepted { reply(.failure(.tooManyQuestions)) }
        }
    }

    /// Has the worker read the kernel in full and make all devices match.
    ///
    /// - Parameters:
    ///   - device: A device to queue before the full read; `nil` for none.
    ///   - reply: Called when the kernel has been read; with false if it cannot be read. `nil` if nothing waits for it.
    /// - Throws: `Refusal.deviceNotFound`, `Refusal.tooManyQuestions`; `reply` is then not called.
    package func reconcile(
        _ device: DeviceName?, reply: (@Sendable (_ isRead: Bool) -> Void)?
    ) throws(Refusal) {
        if let device {
            guard snapshot.devices[device] != nil else { throw .deviceNotFound(device.text) }
            inbox.add([device])
        }
        guard let reply else { return inbox.requestLook() }
        try survey(retryingFailed: true) { reply($0 != nil) }
    }

    /// Records in the history that a reconcile was requested.
    package func noteReconcile(of device: DeviceName?, by author: Author, completion: @escaping @Sendable () -> Void) {
        let event = EventRecord(
            at: .now(), device: device, reason: .reconcileRequested,
            message: device == nil ? "full reconcile requested" : "reconcile requested", author: author)
        writes.note(event, completion: completion)
    }

    // MARK: Wait

    /// Calls `completion` once: when all goals are reached, when one can no longer be reached, or after `time`.
    package func wait(
        for goals: [DeviceName: Waiters.Goal], atMost time: Duration,
        completion: @escaping @Sendable (Snapshot, _ isReached: Bool) -> Void
    ) {
        snapshots.wait(for: goals, atMost: time, completion: completion)
    }
}
