internal import GRDB
public import TapCore
internal import TapDocument

/// Reads and writes within one transaction.
public struct Transaction: ~Copyable {
    private let database: Database

    init(_ database: Database) {
        self.database = database
    }

    /// The next revision, for all that this transaction changes.
    public func nextRevision() throws -> Int {
        try database.cachedStatement(sql: "UPDATE revision SET current = current + 1").execute()
        return try Self.currentRevision(database)
    }

    /// Stores the record, new or not; its claim and its queues are left alone.
    ///
    /// - Returns: The record in its new revision.
    public func save(_ record: DeviceRecord, revision: Int) throws -> DeviceRecord {
        var record = record
        record.revision = revision
        try DeviceRow.save(database, record)
        return record
    }

    /// Stores the record's mark of deletion.
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

    /// Keeps what the devices were before this transaction.
    public func begin(_ trial: TrialRecord) throws { try TrialRow.insert(database, trial) }

    public func end(_ revision: Int, _ state: TrialRecord.State) throws {
        try TrialRow.end(database, revision, state)
    }

    public func append(_ event: EventRecord) throws {
        try EventRow.append(database, event)
    }

    static func currentRevision(_ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "SELECT current FROM revision") ?? 0
    }
}
