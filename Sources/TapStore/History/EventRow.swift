internal import GRDB
internal import TapCore
internal import TapDocument

/// Reads and writes rows of the table `event`.
enum EventRow {
    /// Old events are deleted once per this many appended ones.
    private static let appendsBetweenPrunings: Int64 = 256

    static func append(_ database: Database, _ events: [EventRecord]) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO event (at, device, type, reason, message, field, wanted, observed, lease,
                                   actor, source, request, revision)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        for event in events {
            try statement.execute(arguments: [
                event.at.microseconds, event.device?.text, event.severity.rawValue, event.reason, event.message,
                event.difference?.field, event.difference?.wanted.text, event.difference?.observed.text,
                event.lease?.document.text,
                event.author?.name, event.author?.source, event.author?.request, event.revision,
            ])
            let id = database.lastInsertedRowID
            if id % appendsBetweenPrunings == 0 { try prune(database, last: id) }
        }
    }

    /// Deletes the oldest events beyond the limits. Events with an author are kept longer, so that those of a flapping
    /// interface do not displace them.
    ///
    /// Looks only at the events that have passed the limit since the last time, since this delays a write.
    private static func prune(_ database: Database, last id: Int64) throws {
        let oldest = id - Int64(HistoryLimits.eventsMax)
        try database.cachedStatement(sql: "DELETE FROM event WHERE id > ? AND id <= ? AND actor IS NULL")
            .execute(arguments: [oldest - appendsBetweenPrunings, oldest])
        try database.cachedStatement(sql: "DELETE FROM event WHERE id <= ?")
            .execute(arguments: [id - Int64(HistoryLimits.authoredEventsMax)])
    }

    static func fetch(_ database: Database, after id: Int, device: DeviceName?, limit: Int) throws -> [EventRecord] {
        guard let device else {
            let statement = try database.cachedStatement(sql: "SELECT * FROM event WHERE id > ? ORDER BY id LIMIT ?")
            return try Row.fetchAll(statement, arguments: [id, limit]).map(decode)
        }
        let statement = try database.cachedStatement(
            sql: """
                WITH RECURSIVE block (number) AS (
                    SELECT max(?1 + 1, (SELECT min(id) FROM event)) >> 8
                    UNION ALL SELECT number + 1 FROM block WHERE number < (SELECT max(id) >> 8 FROM event))
                SELECT * FROM event WHERE id IN (
                    SELECT id FROM block CROSS JOIN event ON id >> 8 = number AND device = ?2
                    WHERE id > ?1 ORDER BY id LIMIT ?3)
                ORDER BY id
                """)
        return try Row.fetchAll(statement, arguments: [id, device.text, limit]).map(decode)
    }

    private static func decode(_ row: Row) throws -> EventRecord {
        var difference: FieldDifference?
        if let field = row["field"] as String?, let wanted = row["wanted"] as String?,
            let observed = row["observed"] as String?
        {
            difference = FieldDifference(
                field: field, wanted: try JSONValue(parsing: Array(wanted.utf8)),
                observed: try JSONValue(parsing: Array(observed.utf8)))
        }
        let lease = try (row["lease"] as String?).map { text in
            try EventLease(json: try JSONValue(parsing: Array(text.utf8)), at: "")
        }
        var event = EventRecord(
            at: Timestamp(microseconds: row["at"]), device: try (row["device"] as String?).map { try DeviceName($0) },
            severity: OpenEnum(rawValue: row["type"]), storedReason: row["reason"],
            message: row["message"], difference: difference, lease: lease, author: Author(row),
            revision: row["revision"])
        event.id = row["id"]
        return event
    }
}

extension Author {
    /// From the columns `actor`, `source` and `request`; `nil` if `actor` is NULL.
    init?(_ row: Row) {
        guard let name = row["actor"] as String? else { return nil }
        self.init(name: name, source: row["source"] ?? "", request: row["request"] ?? "")
    }
}
