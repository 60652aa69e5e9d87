internal import GRDB
internal import Migrations

/// Brings a database to the schema that this binary knows.
enum Schema {
    /// `PRAGMA application_id` of our databases: "taps".
    static let applicationIdentifier = 0x7461_7073

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        for migration in Migration.all {
            migrator.registerMigration(migration.identifier) { try $0.execute(sql: migration.sql) }
        }
        return migrator
    }

    /// - Throws: `StoreError` for a database that is not ours, is newer than this binary, or is damaged.
    static func prepare(_ writer: some DatabaseWriter, path: String) throws {
        try writer.writeWithoutTransaction { database in
            let identifier = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
            let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            guard identifier == applicationIdentifier || (identifier == 0 && tables == 0) else {
                throw StoreError.foreign(path: path)
            }
            let verdict = try String.fetchAll(database, sql: "PRAGMA quick_check(3)")
            guard verdict == ["ok"] else {
                throw StoreError.damaged(path: path, detail: verdict.joined(separator: "; "))
            }
        }
        let known = Set(Migration.all.map(\.identifier))
        let applied = try writer.read { try migrator.appliedIdentifiers($0) }
        let unknown = applied.subtracting(known).sorted()
        guard unknown.isEmpty else { throw StoreError.tooNew(path: path, unknown: unknown) }
        try migrator.migrate(writer)
    }
}
