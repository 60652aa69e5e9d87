internal import GRDB
internal import TapCore
internal import TapDocument

/// Between the tables `change` and `device_version` and their records.
enum ChangeRow {
    /// How many changes go by between two clean-ups; a change of as many devices cleans up too. Each holds up a write, so
    /// there are many short ones.
    private static let changesBetweenPrunings = 16

    static func insert(_ database: Database, _ change: ChangeRecord) throws {
        let last = try Row.fetchOne(
            database.cachedStatement(
                sql: "SELECT place, earlier + devices FROM change WHERE revision = (SELECT max(revision) FROM change)"))
        let (place, earlier): (Int, Int) = last.map { ($0[0] + 1, $0[1]) } ?? (1, 0)
        try database.cachedStatement(
            sql: """
                INSERT INTO change (revision, place, at, actor, source, request, devices, earlier)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            change.revision, place, change.at.microseconds, change.author.name, change.author.source,
            change.author.request, change.versions.count, earlier,
        ])
        let statement = try database.cachedStatement(
            sql: "INSERT INTO device_version (device, revision, uid, labels, spec) VALUES (?, ?, ?, ?, ?)")
        for version in change.versions {
            try statement.execute(arguments: [
                version.name.text, change.revision, version.identifier.text, version.statement?.labels.text,
                version.statement?.spec.text,
            ])
        }
        if place % changesBetweenPrunings == 0 || change.versions.count >= changesBetweenPrunings {
            try prune(database, changesMax: Store.changesMax, versionsMax: Store.versionsMax)
        }
    }

    /// Forgets the oldest changes beyond the limits; the newest is kept whatever its size.
    static func prune(_ database: Database, changesMax: Int, versionsMax: Int) throws {
        let ends = try Row.fetchOne(
            database.cachedStatement(
                sql: """
                    SELECT oldest.revision, newest.revision, newest.place, newest.earlier + newest.devices
                    FROM change AS oldest, change AS newest
                    WHERE oldest.revision = (SELECT min(revision) FROM change)
                        AND newest.revision = (SELECT max(revision) FROM change)
                    """))
        guard let ends else { return }
        let (before, newest, places, versions): (Int, Int, Int, Int) = (ends[0], ends[1], ends[2], ends[3])
        // Both numbers rise, so the first that is small enough ends the search.
        let oldest =
            try Int.fetchOne(
                database.cachedStatement(
                    sql: "SELECT revision FROM change WHERE place > ? AND earlier >= ? ORDER BY revision LIMIT 1"),
                arguments: [places - changesMax, versions - versionsMax]) ?? newest
        guard oldest > before else { return }
        try database.cachedStatement(sql: "DELETE FROM change WHERE revision < ?").execute(arguments: [oldest])
        // What the oldest change that is left found: of each device the newest version, where it is stated. Up to the
        // change that was the oldest before it is so already; what came since then takes its place.
        try database.cachedStatement(
            sql: """
                DELETE FROM device_version WHERE (device, revision) IN (
                    SELECT old.device, old.revision FROM device_version AS new
                        JOIN device_version AS old ON old.device = new.device AND old.revision < new.revision
                    WHERE new.revision > ?1 AND new.revision <= ?2)
                """
        ).execute(arguments: [before, oldest])
        try database.cachedStatement(
            sql: "DELETE FROM device_version WHERE revision >= ? AND revision < ? AND spec IS NULL"
        ).execute(arguments: [before, oldest])
    }

    static func fetch(_ database: Database, before revision: Int, limit: Int) throws -> [ChangeRecord] {
        try Row.fetchAll(
            database, sql: "SELECT * FROM change WHERE revision < ? ORDER BY revision DESC LIMIT ?",
            arguments: [revision, limit]
        ).map { try decode(database, $0) }
    }

    static func statement(_ database: Database, _ revision: Int) throws -> PastStatement {
        let row = try Row.fetchOne(database, sql: "SELECT * FROM change WHERE revision = ?", arguments: [revision])
        guard let row else {
            let oldest = try Int.fetchOne(database, sql: "SELECT min(revision) FROM change")
            if let oldest, revision < oldest { return .forgotten(oldest: oldest) }
            let sql = "SELECT max(revision) FROM change WHERE revision < ?"
            return .none(nearest: try Int.fetchOne(database, sql: sql, arguments: [revision]))
        }
        let versions = try Row.fetchAll(
            database,
            sql: """
                SELECT device, uid, labels, spec, 0 AS is_deleted, 0 AS is_new FROM device_version AS version
                WHERE revision = (SELECT max(revision) FROM device_version
                                  WHERE device = version.device AND revision <= ?)
                      AND spec IS NOT NULL
                ORDER BY device
                """, arguments: [revision])
        return .known(try decode(database, row), devices: try versions.map(version))
    }

    private static func decode(_ database: Database, _ row: Row) throws -> ChangeRecord {
        let revision: Int = row["revision"]
        let statement = try database.cachedStatement(
            sql: """
                SELECT device, uid, NULL AS labels, NULL AS spec, spec IS NULL AS is_deleted,
                       NOT EXISTS (SELECT 1 FROM device_version AS old WHERE old.device = version.device
                                   AND old.uid = version.uid AND old.revision < version.revision) AS is_new
                FROM device_version AS version WHERE revision = ? ORDER BY device
                """)
        return ChangeRecord(
            revision: revision, at: Timestamp(microseconds: row["at"]),
            author: Author(row) ?? Author(name: "", source: "", request: ""),
            versions: try Row.fetchAll(statement, arguments: [revision]).map(version))
    }

    private static func version(_ row: Row) throws -> VersionRecord {
        guard let identifier = DeviceIdentifier(text: row["uid"]) else {
            throw StoreError.failed(detail: "'\(row["uid"] as String)' is no uid")
        }
        var statement: VersionRecord.Statement?
        if let labels = row["labels"] as String?, let spec = row["spec"] as String? {
            statement = VersionRecord.Statement(
                labels: try Labels(stored: JSONValue(parsing: Array(labels.utf8))),
                spec: try DeviceSpec(stored: JSONValue(parsing: Array(spec.utf8))))
        }
        return VersionRecord(
            name: try DeviceName(row["device"] as String), identifier: identifier,
            change: row["is_deleted"] ? .deleted : row["is_new"] ? .created : .updated, statement: statement)
    }
}
