internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapStore
internal import TapSystem

/// Publishes the current snapshot. Two writers: the database writer (records, in the order of the commits) and the
/// worker (status and leases).
///
/// One lock, held shortly, protects the snapshot and what must change with it:
/// - **Changes**: each version of a device gets its place in the `ChangeList` as it is published, so that a watch
///   starts from a snapshot and the place that belongs to it, and misses nothing.
/// - **Reservations**: a write that ends leases looks for them and closes the device in one step; a lease looks whether
///   the device is closed or has changed and reserves its queues in one step. So of the two, one sees the other.
/// - **Waiters**: a request looks at its goals and is parked in one step, and each change looks at the parked requests
///   in its own step, so that none is left parked with its goals reached.
///
/// The extensions in `SnapshotStore+Watches.swift`, `+Leases` and `+Waits` are what others ask of the three. No
/// completion is called, and nothing is rendered, under the lock: readers take it once, for a copy of the snapshot.
final class SnapshotStore: ChangeFeed {
    struct State {
        fileprivate(set) var snapshot = Snapshot()
        fileprivate(set) var changes = ChangeList()
        var waiters = Waiters()
        var reservations = Reservations()
    }

    let state = Mutex(State())
    /// Runs out at the earliest deadline of the waiters.
    let timer = DeadlineTimer()

    /// Called when devices have changed, on the thread that changed them.
    private let onChange: @Sendable () -> Void

    init(onChange: @escaping @Sendable () -> Void = {}) {
        self.onChange = onChange
        timer.onTime { [weak self] in self?.endOverdueWaits() }
    }

    var current: Snapshot {
        state.withLock { state in
            var snapshot = state.snapshot
            snapshot.version = state.changes.sequence
            return snapshot
        }
    }

    /// The database's contents at the start.
    func load(_ records: [DeviceRecord], revision: Int) {
        state.withLock { state in
            state.changes = ChangeList(revision: revision)
            state.snapshot.revision = revision
            for record in records {
                // What changed before this start is not known.
                state.show(DeviceView(record: record, wasRelabelled: record.updatedAt > record.createdAt))
            }
        }
    }

    func setReady() { state.withLock { $0.snapshot.isReady = true } }

    func setStoreFailure(_ failure: String?) { state.withLock { $0.snapshot.storeFailure = failure } }

    func setWorkerFailure(_ failure: String?) { state.withLock { $0.snapshot.workerFailure = failure } }

    /// Committed records; the status stays.
    ///
    /// - Parameters:
    ///   - records: As they were decided in the writer's turn: what only writers change, the queues' consumers among
    ///     it, is in them as it is now.
    ///   - revision: The transaction's; a record that shows nothing of the change keeps its own.
    func publish(_ records: [DeviceRecord], revision: Int) {
        change(records.map(\.name)) { state in
            state.snapshot.revision = max(state.snapshot.revision, revision)
            for var record in records {
                let old = state.snapshot.devices[record.name]
                if let old, old.record.identifier == record.identifier {
                    // The worker may have settled or claimed it since the record was read.
                    record.settledGeneration = max(record.settledGeneration, old.record.settledGeneration)
                    record.claim = old.record.claim ?? record.claim
                }
                state.show(old?.with(record: record) ?? DeviceView(record: record, addedIn: revision))
            }
        }
    }

    /// Changes what the worker knows of some devices.
    func publish(_ updates: [WorkerUpdate]) {
        change(updates.map(\.name)) { state in
            for update in updates {
                // Another device of the same name may have come in between.
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

    /// Devices that are gone.
    func remove(_ names: [DeviceName], revision: Int) {
        change(names) { state in
            state.snapshot.revision = max(state.snapshot.revision, revision)
            for name in names {
                guard let last = state.snapshot.devices.removeValue(forKey: name) else { continue }
                state.changes.noteRemoval(last, revision: state.snapshot.revision)
            }
        }
    }

    /// Makes a change, tells the watchers, and answers those who have waited for it.
    ///
    /// - Parameters:
    ///   - names: Devices for which requests may wait.
    ///   - body: Makes the change, under the lock.
    /// - Returns: What `body` returns.
    @discardableResult
    func change<Value: Sendable>(_ names: [DeviceName], _ body: (inout State) -> Value) -> Value {
        let (value, hasChanged, reached, snapshot) = state.withLock { state in
            let before = state.changes.sequence
            let value = body(&state)
            let reached = state.waiters.takeReached(names, in: state.snapshot)
            return (value, state.changes.sequence != before, reached, state.snapshot)
        }
        if hasChanged { onChange() }
        for (waiter, isReached) in reached { waiter.completion(snapshot, isReached) }
        return value
    }
}

extension SnapshotStore.State {
    /// Puts a version in the place of the one before it.
    package mutating func show(_ view: DeviceView) {
        let old = snapshot.devices.updateValue(view, forKey: view.record.name)
        if let old, old.showsSame(as: view) { return }
        if let old, old.record.identifier != view.record.identifier {
            changes.noteRemoval(old, revision: snapshot.revision)
        }
        changes.note(view, revision: snapshot.revision)
    }
}

/// What the worker learnt of one device.
struct WorkerUpdate: Sendable {
    let name: DeviceName
    let identifier: DeviceIdentifier
    var status: DeviceStatus?
    var claim: Claim?
    var settledGeneration: Int?
}
