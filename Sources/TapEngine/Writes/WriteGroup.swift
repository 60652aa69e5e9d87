package import HashTreeCollections
package import TapCore
package import TapDocument
package import TapStore

/// Writes that share a transaction: what is committed, and on top of it what they have decided so far.
package struct WriteGroup: ~Copyable {
    package typealias Devices = TreeDictionary<DeviceName, DeviceView>

    /// What was written for one statement.
    package struct Commit: Sendable {
        /// Every record as it is now, those that did not change among them.
        package let records: [DeviceRecord]
        /// Those that did.
        let changed: [DeviceRecord]
        /// Their revision, or the present one where nothing changed.
        package let revision: Int
    }

    package struct State {
        /// Every device as the writes so far leave it.
        package fileprivate(set) var devices: Devices
        fileprivate var revision: Int
        fileprivate(set) var commits: [Commit] = []
        /// For the history, which is written when all have decided.
        fileprivate var changes: [ChangeRecord] = []
        fileprivate var events: [EventRecord] = []
        /// Devices of which nobody gets a lease until the group is over.
        package var closed: Set<DeviceName> = []
        /// How often something was written.
        fileprivate var writes = 0

        /// Whether there is something to commit.
        var isDirty: Bool { writes > 0 || !events.isEmpty }

        package init(_ snapshot: Snapshot) {
            devices = snapshot.devices
            revision = snapshot.revision
        }

        /// Where a write began. Of what is gathered it has the counts alone: a second reference would have each write
        /// copy what those before it have gathered.
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

        /// Takes back what came since, but for what is closed.
        fileprivate mutating func goBack(to mark: Mark) {
            devices = mark.devices
            revision = mark.revision
            commits.removeSubrange(mark.commits...)
            changes.removeSubrange(mark.changes...)
            events.removeSubrange(mark.events...)
            writes = mark.writes
        }
    }

    /// A write failed after it had written something, and has no savepoint to go back to: the transaction must be
    /// rolled back, and begun again with savepoints.
    struct NeedsSavepoints: Error {}

    private let transaction: Transaction
    private let snapshots: SnapshotStore
    private let hasSavepoints: Bool
    private let firstRevision: Int
    package private(set) var state: State

    /// - Parameters:
    ///   - transaction: The one that they share. While it is open nobody else writes, so that the snapshot is what the
    ///     database is.
    ///   - snapshots: Where leases are kept off.
    ///   - hasSavepoints: Whether each write has a savepoint of its own. Hardly any needs it, since nearly all that can
    ///     be wrong with a write is found before it writes, and a savepoint costs as much as a row.
    init(_ transaction: consuming Transaction, snapshots: SnapshotStore, hasSavepoints: Bool) {
        self.transaction = transaction
        self.snapshots = snapshots
        self.hasSavepoints = hasSavepoints
        state = State(snapshots.current)
        firstRevision = state.revision
    }

    package var devices: Devices { state.devices }

    /// Has a write decide and write.
    ///
    /// - Returns: What to do when the group is committed.
    /// - Throws: `StoreError` when the database fails not only this write, or `NeedsSavepoints`.
    package mutating func take(_ write: WriteQueue.Write) throws -> WriteQueue.Completion {
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

    /// Writes what all have in common, when each has had its turn.
    ///
    /// - Throws: What the database says.
    package func finish() throws {
        if state.revision > firstRevision {
            try transaction.takeRevisions(after: firstRevision, through: state.revision)
        }
        if !state.changes.isEmpty { try transaction.append(state.changes) }
        if !state.events.isEmpty { try transaction.append(state.events) }
    }

    /// Writes the changes; they are published, and the worker is woken, when the group is committed.
    ///
    /// - Parameters:
    ///   - changes: Of different devices.
    ///   - author: Who wants them.
    ///   - force: Whether leases may end that cannot go on with the changes.
    /// - Returns: The records as they are then.
    /// - Throws: `Refusal.deviceLeased`, or `Refusal.store`.
    package mutating func commit(
        _ changes: [DeviceChange], by author: Author, force: Bool = false
    ) throws(Refusal) -> Commit {
        guard changes.contains(where: \.isChange) else {
            return Commit(records: changes.map(\.record), changed: [], revision: state.revision)
        }
        let closing = Dictionary(
            changes.compactMap { change in change.endedLeases.map { (change.record.name, $0) } },
            uniquingKeysWith: { $1 })
        if let lease = snapshots.close(closing, force: force) { throw .deviceLeased(lease) }
        state.closed.formUnion(closing.keys)
        let revision = state.revision + 1
        let records = try write { (transaction) throws in
            try changes.map { try transaction.write($0, revision: revision) }
        }
        // Most often it is the same array.
        let changed = changes.allSatisfy(\.isChange) ? records : zip(changes, records).filter(\.0.isChange).map(\.1)
        let commit = Commit(records: records, changed: changed, revision: revision)
        for record in commit.changed {
            let name = record.name
            state.devices[name] = state.devices[name]?.with(record: record) ?? DeviceView(record: record)
        }
        state.revision = revision
        state.commits.append(commit)
        tell(changes, revision: revision, by: author)
        return commit
    }

    /// Has the history say what happened.
    package mutating func tell(_ event: EventRecord) { state.events.append(event) }

    /// Has the history say who changed what.
    private mutating func tell(_ changes: [DeviceChange], revision: Int, by author: Author) {
        let now = Timestamp.now()
        let devicesCount = changes.count(where: \.changesStatement)
        if devicesCount > 0 {
            state.changes.append(
                ChangeRecord(revision: revision, at: now, author: author, devicesCount: devicesCount))
        }
        for change in changes {
            guard let (reason, message) = change.event else { continue }
            tell(
                EventRecord(
                    at: now, device: change.record.name, reason: reason, message: message, author: author,
                    revision: revision))
        }
    }

    /// Writes what is no device.
    ///
    /// - Throws: `Refusal.store`.
    @discardableResult
    package mutating func write<Value>(_ body: (borrowing Transaction) throws -> Value) throws(Refusal) -> Value {
        state.writes += 1
        return try read(body)
    }

    /// - Throws: `Refusal.store`.
    package func read<Value>(_ body: (borrowing Transaction) throws -> Value) throws(Refusal) -> Value {
        do { return try body(transaction) } catch { throw .store(transaction.failure(error)) }
    }
}

extension Transaction {
    /// - Returns: The record as it is then.
    fileprivate func write(_ change: DeviceChange, revision: Int) throws -> DeviceRecord {
        switch change {
        case .nothing(let record): return record
        case .delete(let record): return try markDeleted(record, revision: revision)
        case .queues(let record, let old):
            try saveQueues(of: record, replacing: old)
            return record
        case .update(let record, let old):
            try saveQueues(of: record, replacing: old)
            return try save(record, revision: revision)
        case .restore(let record):
            // The worker may have forgotten it, and its queues with it.
            let saved = try save(record, revision: revision)
            try saveQueues(of: saved, replacing: nil)
            return saved
        case .create(let record):
            // Only an adopted device comes with its claim.
            let saved = try save(record, revision: revision)
            if let claim = record.claim { try self.claim(claim, for: record.name) }
            return saved
        }
    }
}
