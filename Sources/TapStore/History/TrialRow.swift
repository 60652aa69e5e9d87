internal import GRDB
internal import TapCore
internal import TapDocument

/// Reads and writes applies on trial as rows of `apply` and `apply_device`.
enum TrialRow {
    /// How many ended ones are kept, so that a late confirmation can be answered with what happened.
    private static let endedMax = 64

    static func insert(_ database: Database, _ trial: TrialRecord) throws {
        try database.cachedStatement(sql: "INSERT INTO apply (revision, confirm_by, state) VALUES (?, ?, ?)")
            .execute(arguments: [trial.revision, trial.confirmBy.microseconds, trial.state.rawValue])
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO apply_device (revision, device, uid, pruned, labels, spec, created_at, assignments,
                                          disabled_queues)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        for device in trial.devices {
            try statement.execute(arguments: [
                trial.revision, device.name.text, device.identifier.text, device.isPruned,
                device.before?.labels.text, device.before?.spec.text,
                device.before?.createdAt.microseconds, device.before?.assignments.stored?.text,
                device.before?.disabledQueues.stored?.text,
            ])
        }
        try database.execute(
            sql: """
                DELETE FROM apply WHERE state <> 'pending' AND revision NOT IN
                    (SELECT revision FROM apply ORDER BY revision DESC LIMIT \(endedMax))
                """)
    }

    /// Deletes the devices too: they are not needed once the apply has ended.
    static func end(_ database: Database, _ revision: Int, _ state: TrialRecord.State) throws {
        try database.execute(
            sql: "UPDATE apply SET state = ? WHERE revision = ?", arguments: [state.rawValue, revision])
        try database.execute(sql: "DELETE FROM apply_device WHERE revision = ?", arguments: [revision])
    }

    static func fetch(_ database: Database, _ revision: Int) throws -> TrialRecord? {
        guard
            let row = try Row.fetchOne(database, sql: "SELECT * FROM apply WHERE revision = ?", arguments: [revision]),
            let state = TrialRecord.State(rawValue: row["state"])
        else { return nil }
        let devices = try Row.fetchAll(
            database, sql: "SELECT * FROM apply_device WHERE revision = ? ORDER BY device", arguments: [revision])
        return TrialRecord(
            revision: row["revision"], confirmBy: Timestamp(microseconds: row["confirm_by"]), state: state,
            devices: try devices.map(decode))
    }

    static func fetchPending(_ database: Database) throws -> TrialRecord? {
        try Int.fetchOne(database, sql: "SELECT revision FROM apply WHERE state = 'pending'")
            .flatMap { try fetch(database, $0) }
    }

    private static func decode(_ row: Row) throws -> TrialRecord.Device {
        guard let identifier = DeviceIdentifier(text: row["uid"]) else {
            throw StoreError.failed(detail: "'\(row["uid"] as String)' is not a uid")
        }
        func json(_ column: String) throws -> JSONValue? {
            try (row[column] as String?).map { try JSONValue(parsing: Array($0.utf8)) }
        }
        var before: TrialRecord.Before?
        if let labels = row["labels"] as String?, let spec = row["spec"] as String?,
            let createdAt = row["created_at"] as Int64?
        {
            before = TrialRecord.Before(
                labels: try Labels(stored: JSONValue(parsing: Array(labels.utf8))),
                spec: try DeviceSpec(stored: JSONValue(parsing: Array(spec.utf8))),
                createdAt: Timestamp(microseconds: createdAt),
                assignments: try json("assignments").map { try [Int: Assignment](stored: $0) } ?? [:],
                disabledQueues: try json("disabled_queues").map { try Set(stored: $0) } ?? [])
        }
        return TrialRecord.Device(
            name: try DeviceName(row["device"] as String), identifier: identifier, isPruned: row["pruned"],
            before: before)
    }
}
