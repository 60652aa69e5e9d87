internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapStore
internal import TapSystem

/// Publishes the current snapshot. Two writers: the database writer (records, in the order of the commits) and the
/// worker (status and leases).
///
/// One lock, held briefly, protects the snapshot and what must change together with it:
/// - **Changes**: each version of a device gets its position in the `ChangeList` as it is published. A watch starts
///   with a snapshot and the position that belongs to it, so it misses no change.
/// - **Reservations**: a write that ends leases checks for leases and closes the device to new ones in one step; a
///   lease checks whether the device is closed or has changed and reserves its queues in one step. The second of them
///   sees the effect of the first.
/// - **Waiters**: a request checks its goals and is parked in one step, and each change checks the parked requests in
///   its own step, so that no request stays parked after its goals are reached.
///
/// The interfaces to the three are in `SnapshotStore+Watches.swift`, `+Leases` and `+Waits`. No completion is called
/// and nothing is rendered under the lock; readers hold it only to copy the snapshot.
final class SnapshotStore: ChangeFeed {
    struct State {
        fileprivate(set) var snapshot = Snapshot()
        fileprivate(set) var changes = ChangeList()
        var waiters = Waiters()
        var reservations = Reservations()
    }

    let state = Mutex(State())
    /// Set to the earliest deadline of the waiters.
    let timer = DeadlineTimer()

    /// Called after devices have changed, on the thread that changed them.
    private let onChange: @Sendable () -> Void

    init(onChange: @escaping @Sendable () -> Void = {}) {
        self.onChange = onChange
        timer.onTime { [weak self] in self?.endOverdueWaits() }
    }

    /// The current snapshot.
    var current: Snapshot {
        state.withLock { state in
            var snapshot = state.snapshot
            snapshot.version = state.changes.sequence
            return snapshot
        }
    }

    /// Loads the database's contents at the start.
    func load(_ records: [DeviceRecord], revision: Int) {
        state.withLock { state in
            state.changes = ChangeList(revision: revision)
            state.snapshot.revision = revision
            for record in records {
                // Changes before this start are not known.
                state.show(DeviceView(record: record, wasRelabelled: record.updatedAt > record.createdAt))
            }
        }
    }

    func setReady() { state.withLock { $0.snapshot.isReady = true } }

    func setStoreFailure(_ failure: String?) { state.withLock { $0.snapshot.storeFailure = failure } }

    func setMissingAbility(_ reason: String?) { state.withLock { $0.snapshot.missingAbility = reason } }

    func setWorkerFailure(_ failure: String?) { state.withLock { $0.snapshot.workerFailure = failure } }

    /// Publishes committed records; the status stays.
    ///
    /// - Parameters:
    ///   - commits: The records of each commit, as decided in the writer's turn, with the current values of everything
    ///     that only writers change, such as the queues' consumers; and the commit's revision. A record whose document
    ///     did not change keeps its own.
    ///   - closed: Devices that may be leased again. In the same step, so that a client whose request waited for the
    ///     change can lease the device at once.
    func publish(_ commits: [(records: [DeviceRecord], revision: Int)], opening closed: Set<DeviceName> = []) {
        change(commits.flatMap { $0.records.map(\.name) }) { state in
            for (records, revision) in commits { state.show(records, revision: revision) }
            state.reservations.open(closed)
        }
    }

    /// Publishes the worker's updates of some devices.
    func publish(_ updates: [WorkerUpdate]) {
        change(updates.map(\.name)) { state in
            for update in updates {
                // The device may have been replaced by another of the same name.
                guard let view = state.snapshot.devices[update.name], view.record.identifier == update.identifier else {
                    continue
                }
                var record = view.record
                if let claim = update.claim { record.claim = claim }
                if let settled = update.settledGeneration { record.settledGeneration = settled }
                state.show(view.with(record: record, status: update.status))
            }
        }
    }

    /// Removes deleted devices.
    func remove(_ names: [DeviceName], revision: Int) {
        change(names) { state in
            state.snapshot.revision = max(state.snapshot.revision, revision)
            for name in names {
                guard let last = state.snapshot.devices.removeValue(forKey: name) else { continue }
                state.changes.noteRemoval(last, revision: state.snapshot.revision)
            }
        }
    }

    /// Makes a change, then notifies the watches and completes the waits that it ends.
    ///
    /// - Parameters:
    ///   - names: The changed devices, for whose goals requests may wait.
    ///   - body: Makes the change; called with the lock held.
    /// - Returns: What `body` returns.
    @discardableResult
    func change<Value: Sendable>(_ names: [DeviceName], _ body: (inout State) -> Value) -> Value {
        let (value, hasChanged, reached, snapshot) = state.withLock { state in
            let before = state.changes.sequence
            let value = body(&state)
            let reached = state.waiters.removeReached(names, in: state.snapshot)
            return (value, state.changes.sequence != before, reached, state.snapshot)
        }
        if hasChanged { onChange() }
        for (waiter, isReached) in reached { waiter.completion(snapshot, isReached) }
        return value
    }
}

extension SnapshotStore.State {
    /// Shows the records of one commit.
    fileprivate mutating func show(_ records: [DeviceRecord], revision: Int) {
        snapshot.revision = max(snapshot.revision, revision)
        for var record in records {
            let old = snapshot.devices[record.name]
            if let old, old.record.identifier == record.identifier {
                // The worker may have settled or claimed it since the writer read it.
                record.settledGeneration = max(record.settledGeneration, old.record.settledGeneration)
                record.claim = old.record.claim ?? record.claim
            }
            show(old?.with(record: record) ?? DeviceView(record: record, addedIn: revision))
        }
    }

    /// Replaces a device's version, and adds the change to the feed if its document differs.
    mutating func show(_ view: DeviceView) {
        let old = snapshot.devices.updateValue(view, forKey: view.record.name)
        if let old, old.hasSameDocument(as: view) { return }
        if let old, old.record.identifier != view.record.identifier {
            changes.noteRemoval(old, revision: snapshot.revision)
        }
        changes.note(view, revision: snapshot.revision)
    }
}

/// What the worker has observed or decided for one device; `nil` leaves a part as it is.
struct WorkerUpdate: Sendable {
    let name: DeviceName
    let identifier: DeviceIdentifier
    var status: DeviceStatus?
    var claim: Claim?
    var settledGeneration: Int?
}
