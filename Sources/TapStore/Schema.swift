internal import GRDB
internal import Migrations

/// Checks a database and migrates it to the schema that this binary knows.
enum Schema {
    /// `PRAGMA application_id` of Tapster's databases: "taps".
    static let applicationIdentifier = 0x7461_7073

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        for migration in Migration.all {
            migrator.registerMigration(migration.identifier) { try $0.execute(sql: migration.sql) }
        }
        return migrator
    }

    /// What is wrong with the file, or "ok". This checks the indexes too: a row that is missing in its index cannot be
    /// changed, and SQLite would report no error.
    private static func verdict(of database: Database) throws -> [String] {
        do {
            return try String.fetchAll(database, sql: "PRAGMA integrity_check(3)")
        } catch let error as DatabaseError where error.resultCode == .SQLITE_ERROR {
            // A CHECK constraint could not even be evaluated.
            return [error.message ?? "a value that cannot be read"]
        }
    }

    /// - Throws: `StoreError` if the database belongs to another program, is newer than this binary, or is damaged.
    static func prepare(_ writer: some DatabaseWriter, path: String) throws {
        try writer.writeWithoutTransaction { database in
            let identifier = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
            let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            if identifier == 0, tables == 0 {
                // Written first, so that the next start recognises the file as Tapster's if this one is interrupted.
                try database.execute(sql: "PRAGMA application_id = \(applicationIdentifier)")
            } else if identifier != applicationIdentifier {
                throw StoreError.foreign(path: path)
            }
            let verdict = try verdict(of: database)
            guard verdict == ["ok"] else {
                throw StoreError.damaged(path: path, detail: verdict.joined(separator: "; "))
            }
            if let orphan = try Row.fetchOne(database, sql: "PRAGMA foreign_key_check") {
                throw StoreError.damaged(
                    path: path, detail: "a row of \(orphan[0] as String) refers to a row that does not exist")
            }
        }
        let known = Set(Migration.all.map(\.identifier))
        let applied = try writer.read { try migrator.appliedIdentifiers($0) }
        let unknown = applied.subtracting(known).sorted()
        guard unknown.isEmpty else { throw StoreError.tooNew(path: path, unknown: unknown) }
        try migrator.migrate(writer)
        // Finds a damaged trigger: SQLite compiles it with a statement that fires it.
        try writer.read { _ = try $0.makeStatement(sql: "UPDATE device SET revision = revision") }
    }
}
