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

    /// What an error of a call on this transaction means.
    public func failure(_ error: any Error) -> StoreError { StoreError(error, path: path) }

    // MARK: Savepoints

    /// From here on `rollBackToSavepoint` takes back what is written. There is one at a time.
    ///
    /// - Throws: `StoreError` when the transaction is lost: SQLite rolls all of it back where the disk fails.
    public func beginSavepoint() throws(StoreError) { try control("SAVEPOINT one") }

    public func releaseSavepoint() throws(StoreError) { try control("RELEASE one") }

    public func rollBackToSavepoint() throws(StoreError) {
        try control("ROLLBACK TO one")
        try control("RELEASE one")
    }

    private func control(_ sql: String) throws(StoreError) {
        do { try database.cachedStatement(sql: sql).execute() } catch { throw StoreError(error, path: path) }
    }

    // MARK: Devices

    /// The next revision, for all that this transaction changes.
    public func nextRevision() throws -> Int {
        // RETURNING would make a table for its one row.
        try database.cachedStatement(sql: "UPDATE revision SET current = current + 1").execute()
        return try Self.currentRevision(database)
    }

    /// Takes all revisions up to the last one that this transaction has given to what it changes.
    ///
    /// - Parameters:
    ///   - revision: The one before the first.
    ///   - last: The last.
    /// - Throws: `StoreError.failed` when somebody else has taken one.
    public func takeRevisions(after revision: Int, through last: Int) throws {
        try database.cachedStatement(sql: "UPDATE revision SET current = ? WHERE current = ?")
            .execute(arguments: [last, revision])
        guard database.changesCount == 1 else {
            throw StoreError.failed(detail: "revision \(revision) is not the last one that was taken")
        }
    }

    /// Stores the record, new or not; its claim and its queues are left alone. What was stated before is kept.
    ///
    /// - Returns: The record in its new revision.
    public func save(_ record: DeviceRecord, revision: Int) throws -> DeviceRecord {
        var record = record
        record.revision = revision
        try DeviceRow.save(database, record)
        return record
    }

    /// Stores the record's mark of deletion. What was stated before is kept.
    ///
    /// - Returns: The record in its new revision.
    public func markDeleted(_ record: DeviceRecord, revision: Int) throws -> DeviceRecord {
        var record = record
        record.revision = revision
        try DeviceRow.markDeleted(database, record)
        return record
    }

    /// Stores to whom the record's queues belong, and which of them are disabled. The record keeps its revision: the
    /// device's document shows nothing of it.
    ///
    /// - Parameters:
    ///   - record: The device as it shall be.
    ///   - old: The device as it is stored; nothing when that is not known.
    /// - Throws: What the database says.
    public func saveQueues(of record: DeviceRecord, replacing old: DeviceRecord?) throws {
        try QueueRows.save(database, record, replacing: old)
    }

    /// Writes the proof that an interface is ours.
    public func claim(_ claim: Claim, for name: DeviceName) throws {
        try ClaimRow.save(database, claim, for: name)
    }

    /// Notes that a generation was read back from the kernel and found equal; nothing when the device is gone.
    public func settle(_ identifier: DeviceIdentifier, generation: Int) throws {
        try DeviceRow.settle(database, identifier, generation: generation)
    }

    /// Removes a device that is gone, with its claim, its assignments and its disabled queues.
    ///
    /// - Returns: False when somebody wants it again.
    public func forget(_ identifier: DeviceIdentifier) throws -> Bool {
        try DeviceRow.delete(database, identifier)
    }

    // MARK: Trials

    /// The trial of a revision, ended or not; nothing when there was none, or it is forgotten.
    public func trial(_ revision: Int) throws -> TrialRecord? { try TrialRow.fetch(database, revision) }

    /// The trial that waits to be confirmed.
    public func pendingTrial() throws -> TrialRecord? { try TrialRow.fetchPending(database) }

    /// Keeps what the devices were before this transaction.
    public func begin(_ trial: TrialRecord) throws { try TrialRow.insert(database, trial) }

    public func end(_ revision: Int, _ state: TrialRecord.State) throws {
        try TrialRow.end(database, revision, state)
    }

    // MARK: History

    /// Keeps who changed how much in which revisions, in their order.
    public func append(_ changes: [ChangeRecord]) throws { try ChangeRow.append(database, changes) }

    /// Forgets the oldest changes, as `append` does now and then.
    func prune(changesMax: Int, devicesMax: Int) throws {
        try ChangeRow.prune(database, changesMax: changesMax, devicesMax: devicesMax)
    }

    /// What was stated in a revision.
    public func statement(_ revision: Int) throws -> PastStatement { try ChangeRow.statement(database, revision) }

    /// Remembers an answer for 24 hours.
    public func remember(_ answer: PastAnswer) throws { try PastAnswerRow.insert(database, answer) }

    /// What the request that had this key was answered; nothing when there was none in the last 24 hours.
    ///
    /// - Throws: `StoreError.tooManyAnswers` when there is none, and none more can be remembered.
    public func answer(to key: IdempotencyKey, of actor: String, at time: Timestamp) throws -> PastAnswer? {
        try PastAnswerRow.fetch(database, actor: actor, key: key, at: time)
    }

    /// Keeps what happened, in that order.
    public func append(_ events: [EventRecord]) throws { try EventRow.append(database, events) }

    public func append(_ event: EventRecord) throws { try EventRow.append(database, [event]) }

    static func currentRevision(_ database: Database) throws -> Int {
        try Int.fetchOne(database.cachedStatement(sql: "SELECT current FROM revision")) ?? 0
    }
}
