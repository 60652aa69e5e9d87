internal import GRDB
internal import TapCore
internal import TapDocument

/// Reads and writes `DeviceRecord.reachedSpec` as rows of `reached_spec`.
enum ReachedSpecRow {
    /// Adds the specs to the records of their devices. A spec that cannot be read is not needed: without it, the next
    /// generation of its device repairs all drift.
    static func attach(_ database: Database, to records: inout [DeviceRecord]) throws {
        var specs: [String: String] = [:]
        let rows = try Row.fetchCursor(database, sql: "SELECT device, spec FROM reached_spec")
        while let row = try rows.next() { specs[row[0]] = row[1] }
        guard !specs.isEmpty else { return }
        for position in records.indices {
            guard let text = specs[records[position].name.text] else { continue }
            records[position].reachedSpec = try? DeviceSpec(stored: JSONValue(parsing: Array(text.utf8)))
        }
    }

    static func save(_ database: Database, _ record: DeviceRecord) throws {
        guard let spec = record.reachedSpec else {
            return try database.cachedStatement(sql: "DELETE FROM reached_spec WHERE device = ?")
                .execute(arguments: [record.name.text])
        }
        try database.cachedStatement(sql: "INSERT OR REPLACE INTO reached_spec (device, spec) VALUES (?, ?)")
            .execute(arguments: [record.name.text, spec.text])
    }
}
