internal import Foundation
internal import GRDB
internal import Glibc
public import TapCore
public import TapDocument
internal import TapSystem

extension Store {
    /// Backups beside the database. At this number an operator must remove some first: Tapster does not choose which.
    public static let backupsMax = 32

    /// Copies a consistent state of the database while it is written to, and checks the copy. A crash in the middle
    /// leaves no file with a backup's name.
    ///
    /// - Throws: `StoreError`.
    public func backUp(at time: Timestamp) throws(StoreError) -> Backup {
        // A name that sorts by time and needs no quotes: 20260101T000000.000Z.
        let stamp = time.text.filter { $0 != "-" && $0 != ":" }
        let (partial, final) = ("\(path).backup.partial", "\(path).backup-\(stamp)")
        do {
            let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
            let prefix = URL(fileURLWithPath: path).lastPathComponent + ".backup-"
            let others = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasPrefix(prefix) }
            guard others.count < Self.backupsMax else {
                throw StoreError.tooManyBackups(directory: directory, count: others.count)
            }
            try Self.remove(partial)
            // Readable by the daemon's user only, independently of the umask. SQLite then uses the existing file.
            _ = try FileDescriptor(opening: partial, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            let revision = try copy(to: partial)
            try Self.sync(partial)
            do throws(Errno) { try FileSystem.link(partial, as: final) } catch {
                throw StoreError.failed(detail: "cannot name \(final): \(error.meaning)")
            }
            try Self.remove(partial)
            try Self.sync(directory)
            let size = try FileManager.default.attributesOfItem(atPath: final)[.size] as? Int
            return Backup(path: final, bytesCount: size ?? 0, revision: revision, createdAt: time)
        } catch {
            try? Self.remove(partial)
            throw StoreError(error, path: path)
        }
    }

    /// - Returns: The last revision in the copy.
    private func copy(to path: String) throws -> Int {
        var configuration = Configuration()
        // A single file without a log beside it.
        configuration.journalMode = .default
        let copy = try DatabaseQueue(path: path, configuration: configuration)
        try reading.backup(to: copy)
        return try copy.writeWithoutTransaction { database in
            _ = try String.fetchOne(database, sql: "PRAGMA journal_mode = DELETE")
            let verdict = try String.fetchAll(database, sql: "PRAGMA integrity_check(3)")
            guard verdict == ["ok"] else {
                throw StoreError.damaged(path: self.path, detail: verdict.joined(separator: "; "))
            }
            return try Transaction.currentRevision(database)
        }
    }

    private static func remove(_ path: String) throws {
        for path in [path, path + "-journal", path + "-wal", path + "-shm"]
        where FileManager.default.fileExists(atPath: path) {
            try FileManager.default.removeItem(atPath: path)
        }
    }

    private static func sync(_ path: String) throws {
        do throws(Errno) { try FileDescriptor(opening: path, flags: O_RDONLY).synchronize() } catch {
            throw StoreError.failed(detail: "cannot sync \(path): \(error.meaning)")
        }
    }
}
