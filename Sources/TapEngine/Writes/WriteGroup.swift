package import HashTreeCollections
package import TapCore
package import TapDocument
package import TapStore

/// Writes that share a transaction: the committed state, with the group's earlier writes applied.
package struct WriteGroup: ~Copyable {
    /// Devices by name.
    package typealias Devices = TreeDictionary<DeviceName, DeviceView>

    /// The result of one `commit`.
    package struct Commit: Sendable {
        /// All records after the changes, unchanged ones included.
        package let records: [DeviceRecord]
        /// The changed records.
        let changed: [DeviceRecord]
        /// The revision of the changes; the current one if nothing changed.
        package let revision: Int
    }

    /// The state of the group's transaction, kept outside the database.
    package struct State {
        /// All devices after the writes so far.
        package fileprivate(set) var devices: Devices
        fileprivate var revision: Int
        fileprivate(set) var commits: [Commit] = []
        /// For the history, which is written after the last turn.
        fileprivate var changes: [ChangeRecord] = []
        fileprivate var events: [EventRecord] = []
        /// Devices that are closed to new leases until the group has ended.
        package var closed: Set<DeviceName> = []
        /// The number of writes to the database.
        fileprivate var writes = 0

        /// Whether there is something to commit.
        var isDirty: Bool { writes > 0 || !events.isEmpty }

        package init(_ snapshot: Snapshot) {
            devices = snapshot.devices
            revision = snapshot.revision
        }

        /// The state before a write. Of the collected arrays it has the counts only: a second reference would cause
        /// each write to copy what earlier ones have collected.
        fileprivate struct Mark {
            fileprivate let devices: Devices
            fileprivate let revision: Int
            fileprivate let commits: Int
            fileprivate let changes: Int
            fileprivate let events: Int
            fileprivate let writes: Int
        }

        fileprivate var mark: Mark {
            Mark(
                devices: devices, revision: revision, commits: commits.count, changes: changes.count,
                events: events.count, writes: writes)
        }

        /// Undoes everything since the mark, except that closed devices stay closed.
        fileprivate mutating func goBack(to mark: Mark) {
            devices = mark.devices
            revision = mark.revision
            commits.removeSubrange(mark.commits...)
            changes.removeSubrange(mark.changes...)
            events.removeSubrange(mark.events...)
            writes = mark.writes
        }
    }

    /// A write failed after it had written, and there is no savepoint: the transaction must be rolled back and repeated
    /// with savepoints.
    struct NeedsSavepoints: Error {}

    private let transaction: Transaction
    private let snapshots: SnapshotStore
    private let hasSavepoints: Bool
    private let firstRevision: Int
    /// What the group has collected so far.
    package private(set) var state: State

    /// - Parameters:
    ///   - transaction: The shared transaction. While it is open there are no other writes, so that the snapshot equals
    ///     the database.
    ///   - snapshots: Closes devices to new leases.
    ///   - hasSavepoints: Whether each write gets a savepoint. Hardly any needs one, since nearly all errors are found
    ///     before the write, and a savepoint costs as much as a row.
    init(_ transaction: consuming Transaction, snapshots: SnapshotStore, hasSavepoints: Bool) {
        self.transaction = transaction
        self.snapshots = snapshots
        self.hasSavepoints = hasSavepoints
        state = State(snapshots.current)
        firstRevision = state.revision
    }

    /// All devices after the writes so far.
    package var devices: Devices { state.devices }

    /// Runs one write's turn.
    ///
    /// - Returns: What to call once the group is committed.
    /// - Throws: `StoreError` if the failure concerns the whole group, or `NeedsSavepoints`.
    package mutating func perform(_ write: WriteQueue.Write) throws -> WriteQueue.Completion {
        let mark = state.mark
        if hasSavepoints { try transaction.beginSavepoint() }
        let refusal: Refusal
        do throws(Refusal) {
            let completion = try write.turn(&self)
            if hasSavepoints { try read { try $0.releaseSavepoint() } }
            CrashPoint.reach(CrashPoint.grouped)
            return completion
        } catch {
            refusal = error
        }
        if case .store(let failure) = refusal, failure.concernsAll { throw failure }
        if hasSavepoints {
            try transaction.rollBackToSavepoint()
        } else if state.writes > mark.writes {
            throw NeedsSavepoints()
        }
        state.goBack(to: mark)
        return { write.fail(refusal) }
    }

    /// Writes the collected history, after the last turn.
    ///
    /// - Throws: SQLite's error.
    package func finish() throws {
        if state.revision > firstRevision {
            try transaction.reserveRevisions(after: firstRevision, through: state.revision)
        }
        if !state.changes.isEmpty { try transaction.append(state.changes) }
        if !state.events.isEmpty { try transaction.append(state.events) }
    }

    /// Writes changes; they are published, and the worker is woken, when the group is committed.
    ///
    /// - Parameters:
    ///   - changes: At most one per device.
    ///   - author: Recorded in the history.
    ///   - force: Whether to end leases with which the changes are incompatible.
    /// - Returns: The records after the changes.
    /// - Throws: `Refusal.deviceLeased`, or `Refusal.store`.
    package mutating func commit(
        _ changes: [DeviceChange], by author: Author, force: Bool = false
    ) throws(Refusal) -> Commit {
        guard changes.contains(where: \.isChange) else {
            return Commit(records: changes.map(\.record), changed: [], revision: state.revision)
        }
        let closing = Self.endedLeases(changes)
        if let lease = snapshots.close(closing, force: force) { throw .deviceLeased(lease) }
        state.closed.formUnion(closing.keys)
        let revision = state.revision + 1
        let records = try write { (transaction) throws in
            try changes.map { try transaction.write($0, revision: revision) }
        }
        // Usually every element is a change, and the array need not be copied.
        let changed = changes.allSatisfy(\.isChange) ? records : zip(changes, records).filter(\.0.isChange).map(\.1)
        let commit = Commit(records: records, changed: changed, revision: revision)
        for record in commit.changed {
            let name = record.name
            state.devices[name] = state.devices[name]?.with(record: record) ?? DeviceView(record: record)
        }
        state.revision = revision
        state.commits.append(commit)
        recordHistory(of: changes, revision: revision, by: author)
        return commit
    }

    /// Checks whether `commit` would be refused because of a lease, and closes no device.
    ///
    /// - Parameters:
    ///   - changes: At most one per device.
    ///   - force: Whether the changes may end leases.
    /// - Throws: `Refusal.deviceLeased`.
    func checkLeases(_ changes: [DeviceChange], force: Bool) throws(Refusal) {
        if !force, let lease = snapshots.lease(in: Self.endedLeases(changes)) { throw .deviceLeased(lease) }
    }

    /// For each device that would lose leases, which ones.
    private static func endedLeases(_ changes: [DeviceChange]) -> [DeviceName: (LeaseView) -> Bool] {
        Dictionary(
            changes.compactMap { change in change.endedLeases.map { (change.record.name, $0) } },
            uniquingKeysWith: { $1 })
    }

    /// Closes a device to new leases, so that a queue is not leased until its change is committed.
    ///
    /// - Throws: `Refusal.queueHeld` if the queue is leased, unless `force` is given.
    mutating func close(_ queue: Int, of name: DeviceName, force: Bool) throws(Refusal) {
        if let lease = snapshots.close([name: { $0.queues[queue] != nil }], force: force) {
            throw .queueHeld(queue: queue, by: lease)
        }
        state.closed.insert(name)
    }

    /// Adds an event to the history.
    package mutating func record(_ event: EventRecord) { state.events.append(event) }

    /// Adds the changes and their author to the history.
    private mutating func recordHistory(of changes: [DeviceChange], revision: Int, by author: Author) {
        let now = Timestamp.now()
        let devicesCount = changes.count(where: \.changesWantedState)
        if devicesCount > 0 {
            state.changes.append(
                ChangeRecord(revision: revision, at: now, author: author, devicesCount: devicesCount))
        }
        for change in changes {
            guard let (reason, message) = change.event else { continue }
            record(
                EventRecord(
                    at: now, device: change.record.name, reason: reason, message: message, author: author,
                    revision: revision))
        }
    }

    /// Writes to the database; for devices, use `commit`, which also updates the group's state.
    ///
    /// - Throws: `Refusal.store`.
    @discardableResult
    package mutating func write<Value>(_ body: (borrowing Transaction) throws -> Value) throws(Refusal) -> Value {
        state.writes += 1
        return try read(body)
    }

    /// Reads from the database, in the transaction.
    ///
    /// - Throws: `Refusal.store`.
    package func read<Value>(_ body: (borrowing Transaction) throws -> Value) throws(Refusal) -> Value {
        do { return try body(transaction) } catch { throw .store(transaction.failure(error)) }
    }
}

extension Transaction {
    /// - Returns: The record after the change.
    fileprivate func write(_ change: DeviceChange, revision: Int) throws -> DeviceRecord {
        switch change {
        case .nothing(let record): return record
        case .delete(let record): return try markDeleted(record, revision: revision)
        case .queues(let record, let old):
            try saveQueues(of: record, replacing: old)
            return record
        case .update(let record, let old):
            try saveQueues(of: record, replacing: old)
            if record.reachedSpec != old.reachedSpec { try saveReachedSpec(of: record) }
            return try save(record, revision: revision)
        case .restore(let record):
            // The worker may have deleted the device's row and its queues' rows already.
            let saved = try save(record, revision: revision)
            try saveQueues(of: saved, replacing: nil)
            return saved
        case .create(let record):
            // Only an adopted device has a claim at its creation.
            let saved = try save(record, revision: revision)
            if let claim = record.claim { try self.claim(claim, for: record.name) }
            return saved
        }
    }
}
