internal import GRDB
public import TapCore
public import TapDocument

/// Reads and writes within one transaction.
public struct Transaction: ~Copyable {
    private let database: Database
    private let path: String

    init(_ database: Database, path: String) {
        self.database = database
        self.path = path
    }

    /// The `StoreError` for what a call on this transaction has thrown.
    public func failure(_ error: any Error) -> StoreError { StoreError(error, path: path) }

    // MARK: Savepoints

    /// Begins a savepoint: `rollBackToSavepoint` undoes what is written after it. There is one at a time.
    ///
    /// - Throws: `StoreError` if the transaction is lost: SQLite rolls all of it back when the disk fails.
    public func beginSavepoint() throws(StoreError) { try control("SAVEPOINT one") }

    /// Ends the savepoint and keeps what was written after it.
    public func releaseSavepoint() throws(StoreError) { try control("RELEASE one") }

    /// Ends the savepoint and undoes what was written after it.
    public func rollBackToSavepoint() throws(StoreError) {
        try control("ROLLBACK TO one")
        try control("RELEASE one")
    }

    private func control(_ sql: String) throws(StoreError) {
        do { try database.cachedStatement(sql: sql).execute() } catch { throw StoreError(error, path: path) }
    }

    // MARK: Devices

    /// Reserves the next revision, for all that this transaction changes.
    public func nextRevision() throws -> Int {
        // RETURNING would build a temporary table for its one row.
        try database.cachedStatement(sql: "UPDATE revision SET current = current + 1").execute()
        return try Self.currentRevision(database)
    }

    /// Reserves the revisions `revision + 1` to `last`, which this transaction has given to its changes.
    ///
    /// - Parameters:
    ///   - revision: The current revision.
    ///   - last: The last of the new revisions.
    /// - Throws: `StoreError.failed` if `revision` is not the current one, since another transaction has reserved more.
    public func reserveRevisions(after revision: Int, through last: Int) throws {
        try database.cachedStatement(sql: "UPDATE revision SET current = ? WHERE current = ?")
            .execute(arguments: [last, revision])
        guard database.changesCount == 1 else {
            throw StoreError.failed(detail: "revision \(revision) is not the current one")
        }
    }

    /// Inserts or updates the record, but for its claim and its queues. A trigger keeps the version before, for the
    /// history.
    ///
    /// - Returns: The record with its new revision.
    public func save(_ record: DeviceRecord, revision: Int) throws -> DeviceRecord {
        var record = record
        record.revision = revision
        try DeviceRow.save(database, record)
        return record
    }

    /// Stores that the deletion of the device was requested. A trigger keeps the version before, for the history.
    ///
    /// - Returns: The record with its new revision.
    public func markDeleted(_ record: DeviceRecord, revision: Int) throws -> DeviceRecord {
        var record = record
        record.revision = revision
        try DeviceRow.markDeleted(database, record)
        return record
    }

    /// Stores the assignments of the record's queues, and which of them are disabled. The record keeps its revision,
    /// since the device's JSON document does not contain them.
    ///
    /// - Parameters:
    ///   - record: The device as it is to be stored.
    ///   - old: The device as it is stored; `nil` if that is not known.
    /// - Throws: GRDB's `DatabaseError`; see `failure`.
    public func saveQueues(of record: DeviceRecord, replacing old: DeviceRecord?) throws {
        try QueueRows.save(database, record, replacing: old)
    }

    /// Stores the spec that the kernel matched before that of the record, or removes it if the record has none. The
    /// record must be stored already.
    public func saveReachedSpec(of record: DeviceRecord) throws { try ReachedSpecRow.save(database, record) }

    /// Stores the proof that Tapster owns an interface.
    public func claim(_ claim: Claim, for name: DeviceName) throws {
        try ClaimRow.save(database, claim, for: name)
    }

    /// Stores that a generation was read back from the kernel and found equal; no effect if the device is gone.
    public func settle(_ identifier: DeviceIdentifier, generation: Int) throws {
        try DeviceRow.settle(database, identifier, generation: generation)
    }

    /// Deletes a device whose interface is gone, with its claim, its assignments and its disabled queues.
    ///
    /// - Returns: False if its deletion is not requested any more.
    public func forget(_ identifier: DeviceIdentifier) throws -> Bool {
        try DeviceRow.delete(database, identifier)
    }

    // MARK: Trials

    /// The apply on trial with a revision, pending or ended; `nil` if there was none, or it is no longer kept.
    public func trial(_ revision: Int) throws -> TrialRecord? { try TrialRow.fetch(database, revision) }

    /// The apply that waits to be confirmed; `nil` if there is none.
    public func pendingTrial() throws -> TrialRecord? { try TrialRow.fetchPending(database) }

    /// Stores an apply that waits to be confirmed, with the devices as they were before it.
    public func begin(_ trial: TrialRecord) throws { try TrialRow.insert(database, trial) }

    /// Stores how an apply on trial ended. The devices as they were before it are deleted.
    public func end(_ revision: Int, _ state: TrialRecord.State) throws {
        try TrialRow.end(database, revision, state)
    }

    // MARK: History

    /// Stores changes for the history, in ascending order of their revisions. Now and then this deletes the oldest ones
    /// beyond `HistoryLimits`.
    public func append(_ changes: [ChangeRecord]) throws { try ChangeRow.append(database, changes) }

    /// Deletes the oldest changes beyond the limits, as `append` does now and then.
    func prune(changesMax: Int, devicesMax: Int) throws {
        try ChangeRow.prune(database, changesMax: changesMax, devicesMax: devicesMax)
    }

    /// The wanted state of all devices at a revision.
    public func wantedState(at revision: Int) throws -> PastState { try ChangeRow.statement(database, revision) }

    /// Stores the answer to an idempotent request for 24 hours.
    public func remember(_ answer: PastAnswer) throws { try PastAnswerRow.insert(database, answer) }

    /// The answer to the client's earlier request with this key; `nil` if there was none in the last 24 hours.
    ///
    /// - Throws: `StoreError.tooManyAnswers` if there was none, and no more answers can be stored.
    public func answer(to key: IdempotencyKey, of actor: String, at time: Timestamp) throws -> PastAnswer? {
        try PastAnswerRow.fetch(database, actor: actor, key: key, at: time)
    }

    /// Stores events in the given order. Now and then this deletes the oldest ones beyond `HistoryLimits`.
    public func append(_ events: [EventRecord]) throws { try EventRow.append(database, events) }

    /// Stores one event.
    public func append(_ event: EventRecord) throws { try EventRow.append(database, [event]) }

    static func currentRevision(_ database: Database) throws -> Int {
        try Int.fetchOne(database.cachedStatement(sql: "SELECT current FROM revision")) ?? 0
    }
}
