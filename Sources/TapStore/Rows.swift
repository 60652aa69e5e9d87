internal import GRDB
internal import TapCore
internal import TapDocument

/// Reads and writes device records as rows of `device` and `claim`.
enum DeviceRow {
    /// The columns of `select`, by position: looking columns up by name costs more than reading their values.
    enum Column: Int {
        case name, uid, labels, spec, generation, revision, createdAt, updatedAt, deletionRequestedAt, settledGeneration
        case recreateGeneration, digest
        case bootID, namespaceCookie, namespace, ifindex, vnetHeaderSize, offloads, isLost, claimDigest, inode
    }

    private static let select = """
        SELECT name, uid, labels, spec, generation, revision, created_at, updated_at, deletion_requested_at,
               settled_generation, recreate_generation, device.digest, boot_id, namespace_cookie, namespace, ifindex,
               vnet_header_size, offloads, is_lost, claim.digest, inode
        FROM device LEFT JOIN claim ON claim.device = device.name
        """

    static func fetchAll(_ database: Database) throws -> [DeviceRecord] {
        let rows = try Row.fetchCursor(database, sql: select)
        var records: [DeviceRecord] = []
        while let row = try rows.next() { records.append(try decode(row)) }
        try QueueRows.attach(database, to: &records)
        try ReachedSpecRow.attach(database, to: &records)
        return records
    }

    static func save(_ database: Database, _ record: DeviceRecord) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO device (name, uid, labels, spec, generation, revision, created_at, updated_at,
                                    deletion_requested_at, settled_generation, recreate_generation, digest)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET
                    labels = excluded.labels, spec = excluded.spec, generation = excluded.generation,
                    revision = excluded.revision, updated_at = excluded.updated_at,
                    deletion_requested_at = excluded.deletion_requested_at,
                    recreate_generation = excluded.recreate_generation, digest = excluded.digest
                    WHERE uid = excluded.uid AND created_at = excluded.created_at
                """)
        let (labels, spec) = (record.labels.text, record.spec.text)
        try statement.execute(arguments: [
            record.name.text, record.identifier.text, labels, spec,
            record.generation, record.revision, record.createdAt.microseconds, record.updatedAt.microseconds,
            record.deletionRequestedAt?.microseconds, record.settledGeneration, record.recreateGeneration,
            record.digest(labels: labels, spec: spec),
        ])
        guard database.changesCount == 1 else {
            throw StoreError.failed(detail: "the database has another device '\(record.name)'")
        }
    }

    /// Stores that the device is to be deleted. Labels and spec keep their values, but are written again: an earlier
    /// version may have written them as other JSON text, and the digest covers the text.
    static func markDeleted(_ database: Database, _ record: DeviceRecord) throws {
        let statement = try database.cachedStatement(
            sql: """
                UPDATE device
                SET labels = ?, spec = ?, revision = ?, updated_at = ?, deletion_requested_at = ?, digest = ?
                WHERE uid = ?
                """)
        let (labels, spec) = (record.labels.text, record.spec.text)
        try statement.execute(arguments: [
            labels, spec, record.revision, record.updatedAt.microseconds, record.deletionRequestedAt?.microseconds,
            record.digest(labels: labels, spec: spec), record.identifier.text,
        ])
    }

    static func settle(_ database: Database, _ identifier: DeviceIdentifier, generation: Int) throws {
        let statement = try database.cachedStatement(
            sql: "UPDATE device SET settled_generation = min(?, generation) WHERE uid = ?")
        try statement.execute(arguments: [generation, identifier.text])
    }

    /// - Returns: False if the deletion is not requested any more, or another device has the name now.
    static func delete(_ database: Database, _ identifier: DeviceIdentifier) throws -> Bool {
        try database.cachedStatement(sql: "DELETE FROM device WHERE uid = ? AND deletion_requested_at IS NOT NULL")
            .execute(arguments: [identifier.text])
        return database.changesCount > 0
    }

    private static func decode(_ row: Row) throws -> DeviceRecord {
        let text: String = row[.name]
        do {
            let spec: String = row[.spec]
            let labels: String = row[.labels]
            guard let identifier = DeviceIdentifier(text: row[.uid]) else {
                throw StoreError.failed(detail: "'\(row[.uid] as String)' is not a uid")
            }
            var record = DeviceRecord(
                name: try DeviceName(text), identifier: identifier,
                labels: try Labels(stored: JSONValue(parsing: Array(labels.utf8))),
                spec: try DeviceSpec(stored: JSONValue(parsing: Array(spec.utf8))),
                createdAt: Timestamp(microseconds: row[.createdAt]))
            record.generation = row[.generation]
            record.revision = row[.revision]
            record.updatedAt = Timestamp(microseconds: row[.updatedAt])
            record.deletionRequestedAt = row.optional(.deletionRequestedAt, Int64.self).map(
                Timestamp.init(microseconds:))
            record.settledGeneration = row[.settledGeneration]
            record.recreateGeneration = row[.recreateGeneration]
            try RowDigest.check(row.optional(.digest, Int64.self), is: record.digest(labels: labels, spec: spec))
            record.claim = try ClaimRow.decode(row, of: text)
            return record
        } catch {
            throw StoreError.failed(detail: "the row of device '\(text)' cannot be read: \(error)")
        }
    }
}

extension DeviceRecord {
    /// Covers all columns but the settled generation, which the worker updates on its own; labels and spec are given as
    /// the stored JSON text.
    fileprivate func digest(labels: String, spec: String) -> Int64 {
        RowDigest.of(
            name.text, identifier.text, labels, spec, "\(generation)", "\(revision)",
            "\(createdAt.microseconds)", "\(updatedAt.microseconds)",
            deletionRequestedAt.map { "\($0.microseconds)" }, "\(recreateGeneration)")
    }
}

enum ClaimRow {
    static func save(_ database: Database, _ claim: Claim, for name: DeviceName) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO claim (device, boot_id, namespace_cookie, namespace, ifindex,
                                              vnet_header_size, offloads, is_lost, digest, inode)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: [
            name.text, claim.host.boot, Int64(bitPattern: claim.host.namespace), claim.namespace?.text,
            claim.index.rawValue, claim.settings.vnetHeaderSize?.value,
            claim.settings.offloads.map { Int64($0.rawValue) }, claim.isLost, claim.digest(of: name.text),
            claim.inode.map(Int64.init(bitPattern:)),
        ])
    }

    static func decode(_ row: Row, of name: String) throws -> Claim? {
        guard let boot = row.optional(.bootID, String.self) else { return nil }
        var claim = Claim(
            host: NamespaceIdentity(boot: boot, namespace: UInt64(bitPattern: row[.namespaceCookie])),
            namespace: try row.optional(.namespace, String.self).map { try NetworkNamespace($0) },
            index: LinkIndex(rawValue: row[.ifindex]),
            settings: DescriptorSettings(
                vnetHeaderSize: try row.optional(.vnetHeaderSize, Int.self).map { try VnetHeaderSize($0) },
                offloads: row.optional(.offloads, UInt32.self).map(Offloads.init(rawValue:))))
        claim.isLost = row[.isLost]
        claim.inode = row.optional(.inode, Int64.self).map(UInt64.init(bitPattern:))
        try RowDigest.check(row.optional(.claimDigest, Int64.self), is: claim.digest(of: name))
        return claim
    }
}

extension Claim {
    fileprivate func digest(of name: String) -> Int64 {
        let values = [
            name, host.boot, "\(host.namespace)", namespace?.text, "\(index.rawValue)",
            settings.vnetHeaderSize.map { "\($0.value)" }, settings.offloads.map { "\($0.rawValue)" }, "\(isLost)",
        ]
        // Rows of earlier versions have no inode, and a digest of the other values.
        return RowDigest.of(values + (inode.map { ["\($0)"] } ?? []))
    }
}

extension Row {
    fileprivate subscript<Value: DatabaseValueConvertible & StatementColumnConvertible>(
        _ column: DeviceRow.Column
    ) -> Value { self[column.rawValue] }

    /// A column that may be NULL.
    fileprivate func optional<Value: DatabaseValueConvertible & StatementColumnConvertible>(
        _ column: DeviceRow.Column, _: Value.Type
    ) -> Value? { self[column.rawValue] }
}
