package import Logging
package import TapCore
package import TapDocument
package import TapStore
package import TapSystem

/// Wanted state, the kernel's state, and the worker that makes the one match the other. This is all that others see of
/// the engine: they apply, read, watch, lease, survey and wait. It knows no protocol.
package final class Engine: ChangeFeed {
    /// Reads of the history, backups and large documents that wait at a time.
    static let readsMax = 256

    /// Reads documents as devices.
    package let documents: DeviceReader
    package let metrics: EngineMetrics
    package let store: Store

    let snapshots: SnapshotStore
    let inbox: WorkerInbox
    let writes: WriteQueue
    private let trials: Trials
    private let applies: Apply
    private let reader: SerialThread<@Sendable () -> Void>
    private let worker: Worker

    /// - Parameters:
    ///   - kernel: Belongs to the worker's thread from here on.
    ///   - store: The database, opened and migrated.
    ///   - accounts: Where owners and groups are looked up.
    ///   - metrics: What it counts.
    ///   - log: Where events and failures go.
    ///   - onChange: Called when devices have changed, on the thread that changed them.
    ///   - onReady: Called once, when the kernel was read in full and matches what is wanted, where it can.
    /// - Throws: `StoreError` when the database cannot be read.
    package init(
        kernel: some Kernel, store: Store, accounts: some Accounts, metrics: EngineMetrics, log: Logger,
        onChange: @escaping @Sendable () -> Void, onReady: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        self.store = store
        self.metrics = metrics
        snapshots = SnapshotStore(onChange: onChange)
        inbox = WorkerInbox(waker: kernel.waker)
        documents = DeviceReader(accounts: accounts, features: kernel.features)
        let (devices, revision) = try store.load()
        snapshots.load(devices, revision: revision)
        writes = WriteQueue(store: store, snapshots: snapshots, inbox: inbox, metrics: metrics)
        reader = SerialThread("tapster-reader", waitingMax: Self.readsMax) { for read in $0 { read() } }
        trials = try Trials(store: store, writes: writes)
        applies = Apply(inbox: inbox, trials: trials)
        worker = Worker(
            kernel: kernel, store: store, snapshots: snapshots, inbox: inbox, accounts: accounts, metrics: metrics,
            log: log,
            onReady: onReady)
    }

    /// Starts the threads.
    ///
    /// - Throws: `ThreadFailure` when the process may have no more threads: then it must end.
    package func start() throws(ThreadFailure) {
        try startWriting()
        try worker.start()
    }

    /// Starts all but the worker.
    func startWriting() throws(ThreadFailure) {
        try writes.start()
        try reader.start()
    }

    /// Finishes and answers what waits for the database; no more is accepted. The first step of a stop.
    package func finishWrites() {
        store.stopWaiting()
        // What has been read there is written then.
        reader.stop()
        writes.stop()
        snapshots.endWaits()
    }

    /// Finishes the pass under way. The kernel stays as it is: traffic goes on.
    package func stop() { worker.stop() }

    // MARK: Apply

    /// Applies many devices in one transaction, all or nothing.
    ///
    /// - Parameters:
    ///   - inputs: The wanted devices.
    ///   - author: For the history.
    ///   - options: How.
    ///   - prunes: Whether a device that `inputs` do not name shall be deleted.
    ///   - reply: Called once, when the outcome is on the disk or the apply was refused, unless this throws.
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

    /// Decides and writes an apply in a turn of `write`. `committed` must follow in the turn's completion.
    package func apply(
        _ inputs: [DeviceInput], by author: Author, _ options: Apply.Options, in group: inout WriteGroup,
        prunes: (DeviceRecord) -> Bool
    ) throws(Refusal) -> Apply.Outcome {
        try applies.write(inputs, by: author, options, in: &group, prunes: prunes)
    }

    /// The outcome of an apply is on the disk.
    package func committed(_ outcome: Apply.Outcome) { applies.committed(outcome) }

    /// What the worker would do for the outcome of a dry run.
    ///
    /// - Throws: `Refusal.tooManyQuestions`; then `reply` is not called.
    package func plan(
        _ outcome: Apply.Outcome, reply: @escaping @Sendable (Result<[DevicePlan], Refusal>) -> Void
    ) throws(Refusal) {
        try applies.plan(outcome, reply: reply)
    }

    /// Confirms a change in a turn of `write`; the completion calls `trialEnded`.
    package func confirm(_ revision: Int, by author: Author, in group: inout WriteGroup) throws(Refusal) {
        try trials.confirm(revision, by: author, in: &group)
    }

    /// Takes a change back in a turn of `write`; the completion calls `trialEnded`.
    ///
    /// - Returns: The devices of the change as they are then.
    package func rollBack(
        _ revision: Int, because reason: String, by author: Author, in group: inout WriteGroup
    ) throws(Refusal) -> [DeviceRecord] {
        try trials.rollBack(revision, because: reason, by: author, in: &group)
    }

    package func trialEnded(_ revision: Int) { trials.ended(revision) }

    /// Has `turn` decide and write when its turn comes; what it returns is called when all is on the disk.
    ///
    /// - Parameters:
    ///   - turn: An error takes back what it has written.
    ///   - fail: Called with the error in place of the completion.
    /// - Throws: `Refusal.tooManyWrites`; then neither is called.
    package func write(
        _ turn: @escaping @Sendable (inout WriteGroup) throws(Refusal) -> WriteQueue.Completion,
        fail: @escaping @Sendable (Refusal) -> Void
    ) throws(Refusal) {
        if !writes.add(WriteQueue.Write(turn: turn, fail: fail)) { throw .tooManyWrites }
    }

    /// Has the history say what has happened already.
    ///
    /// - Parameters:
    ///   - event: What it says.
    ///   - completion: Called once, whether or not the database has taken it.
    package func note(_ event: EventRecord, completion: @escaping @Sendable () -> Void) {
        writes.note(event, completion: completion)
    }

    // MARK: Read

    /// The devices as they were published last.
    package var snapshot: Snapshot { snapshots.current }

    /// The same, with a failure of the database that no write has met yet.
    package var health: Snapshot { Health(snapshots: snapshots, store: store, inbox: inbox).snapshot }

    /// Changed devices that wait for a pass.
    package var waitingDevices: Int { inbox.depth }

    /// Runs `body` on the thread that may wait for the database.
    ///
    /// - Returns: False when too many wait; then it is not run.
    package func read(_ body: @escaping @Sendable () -> Void) -> Bool { reader.add(body) }

    // MARK: Watch

    /// Where a reader of changes begins.
    ///
    /// - Parameter revision: What it has seen; `nil` begins with all devices.
    /// - Returns: The place, and what the reader knows there.
    /// - Throws: `Refusal.resourceVersionGone` when the changes since are not known any more.
    package func watch(after revision: Int?) throws(Refusal) -> WatchStart { try snapshots.start(after: revision) }

    /// The next change after a place.
    package func next(after place: WatchPlace) -> NextChange { snapshots.next(after: place) }

    // MARK: Lease

    /// Has the worker carry out a command about leases.
    ///
    /// - Throws: `Refusal.tooManyLeases`; then it is not carried out, and not answered.
    package func perform(_ command: LeaseCommand) throws(Refusal) {
        if !inbox.add(command) { throw .tooManyLeases }
    }

    // MARK: Survey

    /// Asks what only the worker can tell, after a look at the kernel.
    ///
    /// - Parameters:
    ///   - retriesFailed: Whether devices that failed are tried again now.
    ///   - reply: Called on the worker's thread; with `nil` when the look fails or the worker ends.
    /// - Throws: `Refusal.tooManyQuestions`; then it is not answered.
    package func survey(
        retryingFailed retriesFailed: Bool = false, reply: @escaping WorkerInbox.Question
    ) throws(Refusal) {
        if !inbox.ask(retryingFailed: retriesFailed, reply) { throw .tooManyQuestions }
    }

    /// Has the worker look at a device.
    package func refresh(_ name: DeviceName) { inbox.add([name]) }

    // MARK: Wait

    /// Calls back when all goals are reached or the time is over.
    package func wait(
        for goals: [DeviceName: Waiters.Goal], atMost time: Duration,
        completion: @escaping @Sendable (Snapshot, _ isReached: Bool) -> Void
    ) {
        snapshots.wait(for: goals, atMost: time, completion: completion)
    }
}
