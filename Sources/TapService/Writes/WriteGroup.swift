internal import HashTreeCollections
internal import TapCore
internal import TapStore

/// Writes that share a transaction: what is committed, and on top of it what they have decided so far.
struct WriteGroup: ~Copyable {
    typealias Devices = TreeDictionary<DeviceName, DeviceView>

    /// What was written for one statement.
    struct Commit: Sendable {
        /// Every record as it is now, those that did not change among them.
        let records: [DeviceRecord]
        /// Those that did.
        let changed: [DeviceRecord]
        /// Their revision, or the present one where nothing changed.
        let revision: Int
    }

    struct State {
        /// Every device as the writes so far leave it.
        fileprivate(set) var devices: Devices
        fileprivate var revision: Int
        fileprivate(set) var commits: [Commit] = []
        /// Devices of which nobody gets a lease until the group is over.
        var closed: Set<DeviceName> = []
        /// Whether there is something to commit.
        fileprivate(set) var isDirty = false

        init(_ snapshot: Snapshot) {
            devices = snapshot.devices
            revision = snapshot.revision
        }
    }

    private let transaction: Transaction
    private let board: Board
    private(set) var state: State

    /// - Parameters:
    ///   - transaction: The one that they share. While it is open nobody else writes, so that the board is what the
    ///     database is.
    ///   - board: Where leases are kept off.
    init(_ transaction: consuming Transaction, board: Board) {
        self.transaction = transaction
        self.board = board
        state = State(board.snapshot)
    }

    var devices: Devices { state.devices }

    /// Has a write decide, in a savepoint of its own.
    ///
    /// - Returns: What to do when the group is committed.
    /// - Throws: `StoreError` when the database fails not only this write.
    mutating func take(_ write: WriteQueue.Write) throws -> WriteQueue.Completion {
        let before = state
        try transaction.beginSavepoint()
        let problem: Problem
        do throws(Problem) {
            let completion = try write.turn(&self)
            try read { try $0.releaseSavepoint() }
            CrashPoint.reach(CrashPoint.grouped)
            return completion
        } catch {
            problem = error
        }
        if case .store(let failure) = problem, failure.concernsAll { throw failure }
        try transaction.rollBackToSavepoint()
        let closed = state.closed
        state = before
        state.closed = closed
        return { write.fail(problem) }
    }

    /// Writes the changes; they are published, and the worker is woken, when the group is committed.
    ///
    /// - Parameters:
    ///   - changes: Of different devices.
    ///   - author: Who wants them.
    ///   - endsLeases: Whether leases may end that cannot go on with the changes.
    /// - Returns: The records as they are then.
    /// - Throws: `Problem.deviceLeased`, or `Problem.store`.
    mutating func commit(
        _ changes: [DeviceChange], by author: Author, endingLeases endsLeases: Bool = false
    ) throws(Problem) -> Commit {
        guard changes.contains(where: \.isChange) else {
            return Commit(records: changes.map(\.record), changed: [], revision: state.revision)
        }
        let closing = Dictionary(
            changes.compactMap { change in change.endedLeases.map { (change.record.name, $0) } },
            uniquingKeysWith: { $1 })
        if let lease = board.close(closing, isForced: endsLeases) { throw .deviceLeased(lease) }
        state.closed.formUnion(closing.keys)
        let commit = try write { (transaction) throws in
            let revision = try transaction.nextRevision()
            var records: [DeviceRecord] = []
            records.reserveCapacity(changes.count)
            for change in changes { records.append(try transaction.write(change, revision: revision)) }
            try transaction.tell(changes, revision: revision, by: author)
            return Commit(
                records: records, changed: zip(changes, records).filter(\.0.isChange).map(\.1), revision: revision)
        }
        for record in commit.changed {
            let name = record.name
            state.devices[name] = state.devices[name]?.with(record: record) ?? DeviceView(record: record)
        }
        state.revision = commit.revision
        state.commits.append(commit)
        return commit
    }

    /// Writes what is no device.
    ///
    /// - Throws: `Problem.store`.
    @discardableResult
    mutating func write<Value>(_ body: (borrowing Transaction) throws -> Value) throws(Problem) -> Value {
        state.isDirty = true
        return try read(body)
    }

    /// - Throws: `Problem.store`.
    func read<Value>(_ body: (borrowing Transaction) throws -> Value) throws(Problem) -> Value {
        do { return try body(transaction) } catch { throw .store(transaction.failure(error)) }
    }
}

extension Transaction {
    /// Has the history say who changed what.
    fileprivate func tell(_ changes: [DeviceChange], revision: Int, by author: Author) throws {
        let now = Timestamp.now()
        let versions = changes.compactMap(\.version)
        if !versions.isEmpty {
            try append(ChangeRecord(revision: revision, at: now, author: author, versions: versions))
        }
        for change in changes {
            guard let (reason, message) = change.story else { continue }
            try append(
                EventRecord(
                    at: now, device: change.record.name, reason: reason, message: message, author: author,
                    revision: revision))
        }
    }

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
