internal import GRDB
public import TapCore
internal import TapDocument

/// Reads and writes within one transaction.
public struct Transaction: ~Copyable {
    private let database: Database

    init(_ database: Database) {
        self.database = database
    }

    /// Gives the record the next revision and stores it, new or not; its claim is left alone.
    public func save(_ record: DeviceRecord) throws -> DeviceRecord {
        var record = record
        record.revision = try nextRevision()
        try DeviceRow.save(database, record)
        return record
    }

    /// Writes the proof that an interface is ours.
    public func claim(_ claim: Claim, for name: DeviceName) throws {
        try ClaimRow.save(database, claim, for: name)
    }

    /// Notes that a generation was read back from the kernel and found equal; nothing when the device is gone.
    public func settle(_ identifier: DeviceIdentifier, generation: Int) throws {
        try DeviceRow.settle(database, identifier, generation: generation)
    }

    /// Removes a device that is gone, with its claim and its assignments.
    ///
    /// - Returns: The revision of the removal.
    public func forget(_ name: DeviceName) throws -> Int {
        try DeviceRow.delete(database, name)
        return try nextRevision()
    }

    public func append(_ event: EventRecord) throws {
        try EventRow.append(database, event)
    }

    static func currentRevision(_ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "SELECT current FROM revision") ?? 0
    }

    private func nextRevision() throws -> Int {
        try database.cachedStatement(sql: "UPDATE revision SET current = current + 1").execute()
        return try Self.currentRevision(database)
    }
}
