internal import GRDB
internal import TapCore
internal import TapDocument

/// Reads and writes the history in the tables `change`, `device` and `device_version`.
enum ChangeRow {
    /// Old changes are deleted once per this many changes, or when as many devices were changed at once.
    static let changesBetweenPrunings = 64

    static func append(_ database: Database, _ changes: [ChangeRecord]) throws {
        let last = try Row.fetchOne(
            database.cachedStatement(
                sql: "SELECT place, earlier + devices FROM change WHERE revision = (SELECT max(revision) FROM change)"))
        let (first, devicesBefore): (Int, Int) = last.map { ($0[0] + 1, $0[1]) } ?? (1, 0)
        var (place, earlier) = (first, devicesBefore)
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO change (revision, place, at, actor, source, request, devices, earlier)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """)
        for change in changes {
            try statement.execute(arguments: [
                change.revision, place, change.at.microseconds, change.author.name, change.author.source,
                change.author.request, change.devicesCount, earlier,
            ])
            place += 1
            earlier += change.devicesCount
        }
        let isTime = first / changesBetweenPrunings != place / changesBetweenPrunings
        if isTime || earlier - devicesBefore >= changesBetweenPrunings {
            try prune(database, changesMax: HistoryLimits.changesMax, devicesMax: HistoryLimits.changedDevicesMax)
        }
    }

    /// Deletes the oldest changes beyond the limits. The newest one is always kept.
    static func prune(_ database: Database, changesMax: Int, devicesMax: Int) throws {
        let newest = try Row.fetchOne(
            database.cachedStatement(
                sql: """
                    SELECT revision, place, earlier + devices FROM change
                    WHERE revision = (SELECT max(revision) FROM change)
                    """))
        guard let newest else { return }
        let (place, devices): (Int, Int) = (newest[1], newest[2])
        // Both columns increase with the revision, so the search ends at the first row within the limits.
        let oldest =
            try Int.fetchOne(
                database.cachedStatement(
                    sql: "SELECT revision FROM change WHERE place > ? AND earlier >= ? ORDER BY revision LIMIT 1"),
                arguments: [place - changesMax, devices - devicesMax]) ?? newest[0]
        try database.cachedStatement(sql: "DELETE FROM change WHERE revision < ?").execute(arguments: [oldest])
        // Keeps the versions that the oldest change replaced: they distinguish an update from a creation.
        try database.cachedStatement(sql: "DELETE FROM device_version WHERE until < ?").execute(arguments: [oldest])
    }

    static func fetch(_ database: Database, before revision: Int, limit: Int) throws -> [PastChange] {
        let rows = try Row.fetchAll(
            database, sql: "SELECT * FROM change WHERE revision < ? ORDER BY revision DESC LIMIT ?",
            arguments: [revision, limit])
        guard let newest = rows.first, let oldest = rows.last else { return [] }
        let devices = try devices(database, from: oldest["revision"], through: newest["revision"])
        return rows.map { change($0, devices) }
    }

    static func statement(_ database: Database, _ revision: Int) throws -> PastState {
        let row = try Row.fetchOne(database, sql: "SELECT * FROM change WHERE revision = ?", arguments: [revision])
        guard let row else {
            let oldest = try Int.fetchOne(database, sql: "SELECT min(revision) FROM change")
            if let oldest, revision < oldest { return .forgotten(oldest: oldest) }
            let sql = "SELECT max(revision) FROM change WHERE revision < ?"
            return .none(nearest: try Int.fetchOne(database, sql: sql, arguments: [revision]))
        }
        let wanted = try Row.fetchAll(
            database,
            sql: """
                SELECT name, labels, spec FROM device WHERE revision <= ?1 AND deletion_requested_at IS NULL
                UNION ALL SELECT device, labels, spec FROM device_version WHERE until > ?1 AND since <= ?1
                ORDER BY 1
                """, arguments: [revision])
        return .known(
            change(row, try devices(database, from: revision, through: revision)), devices: try wanted.map(input))
    }

    /// The devices that each revision created, updated or deleted, by revision.
    private static func devices(
        _ database: Database, from oldest: Int, through newest: Int
    ) throws -> [Int: [ChangedDevice]] {
        let rows = try Row.fetchAll(
            database,
            sql: """
                SELECT revision, name, max(begins), max(ends) FROM (
                    SELECT revision, name, 1 AS begins, 0 AS ends FROM device
                        WHERE revision BETWEEN ?1 AND ?2 AND deletion_requested_at IS NULL
                    UNION ALL SELECT since, device, 1, 0 FROM device_version
                        WHERE until > ?1 AND since BETWEEN ?1 AND ?2
                    UNION ALL SELECT until, device, 0, 1 FROM device_version WHERE until BETWEEN ?1 AND ?2
                ) GROUP BY revision, name ORDER BY revision, name
                """, arguments: [oldest, newest])
        var devices: [Int: [ChangedDevice]] = [:]
        for row in rows {
            let change: ChangedDevice.Change =
                switch (row[2] as Bool, row[3] as Bool) {
                case (true, true): .updated
                case (true, false): .created
                case (false, _): .deleted
                }
            devices[row[0], default: []].append(ChangedDevice(name: try DeviceName(row[1] as String), change: change))
        }
        return devices
    }

    private static func change(_ row: Row, _ devices: [Int: [ChangedDevice]]) -> PastChange {
        let record = ChangeRecord(
            revision: row["revision"], at: Timestamp(microseconds: row["at"]),
            author: Author(row) ?? Author(name: "", source: "", request: ""), devicesCount: row["devices"])
        return PastChange(record: record, devices: devices[record.revision] ?? [])
    }

    private static func input(_ row: Row) throws -> DeviceInput {
        DeviceInput(
            name: try DeviceName(row["name"] as String),
            labels: try Labels(stored: JSONValue(parsing: Array((row["labels"] as String).utf8))),
            spec: try DeviceSpec(stored: JSONValue(parsing: Array((row["spec"] as String).utf8))))
    }
}
