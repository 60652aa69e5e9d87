internal import Foundation
internal import GRDB
public import TapCore
internal import TapDocument

/// The database: one file, one connection that writes, a few that read, and nobody else.
///
/// A user's write is on the disk when `write` returns (WAL, synchronous=FULL). What the worker learns from the kernel
/// is written without waiting for the disk: after a power loss the kernel's devices are gone too, and their claims
/// carry the old boot's identifier.
public final class Store: Sendable {
    /// Older events are forgotten.
    public static let eventsMax = 10_000
    /// Those that somebody's request caused are kept longer.
    public static let authoredEventsMax = 100_000
    /// How long an answer is remembered for who repeats a request.
    public static let answerSecondsMax = 86_400
    public static let answersMax = 100_000
    /// How many changes of statements can be told and gone back to.
    public static let changesMax = 1_000
    /// And how many versions of devices they may have in all.
    public static let versionsMax = 100_000
    /// Busy handlers of other readers, such as a backup or an operator's sqlite3.
    static let busySecondsMax = 5.0

    /// Connections that only read, and so do not make writers wait.
    static let readersMax = 2

    private let lock: DatabaseLock
    private let pool: DatabasePool
    public let path: String

    /// Opens or makes the database, checks it and brings its schema up to date.
    ///
    /// - Throws: `StoreError`; the file is then as it was.
    public init(path: String) throws(StoreError) {
        lock = try DatabaseLock(database: path)
        self.path = path
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(Self.busySecondsMax)
        configuration.label = "tapster.store"
        configuration.maximumReaderCount = Self.readersMax
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            try Schema.prepare(pool, path: path)
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// Every device, and the revision of the last change.
    public func load() throws(StoreError) -> (devices: [DeviceRecord], revision: Int) {
        do {
            return try pool.read { database in
                (try DeviceRow.fetchAll(database), try Transaction.currentRevision(database))
            }
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// The trial that waits to be confirmed.
    public func pendingTrial() throws(StoreError) -> TrialRecord? {
        do { return try pool.read { try TrialRow.fetchPending($0) } } catch { throw StoreError(error, path: path) }
    }

    /// Runs a user's write as one transaction, and returns when it is on the disk.
    ///
    /// - Parameters:
    ///   - body: Reads and writes; an error rolls all of it back.
    ///   - committed: Runs after the commit and before the next write, so that what it publishes is in commit order.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, or `StoreError`.
    public func write<Value>(
        _ body: (consuming Transaction) throws -> Value, committed: (Value) -> Void = { _ in }
    ) throws -> Value {
        do {
            return try perform(durably: true, body, committed: committed)
        } catch let error as DatabaseError {
            throw StoreError(error, path: path)
        }
    }

    /// Writes what was learnt from the kernel, without waiting for the disk unless told to.
    public func record(
        durably: Bool = false, _ body: (consuming Transaction) throws -> Void, committed: () -> Void = {}
    ) throws(StoreError) {
        do {
            try perform(durably: durably, body, committed: { _ in committed() })
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// Events after a given one, oldest first.
    public func events(after id: Int, device: DeviceName?, limit: Int) throws(StoreError) -> [EventRecord] {
        do {
            return try pool.read { try EventRow.fetch($0, after: id, device: device, limit: limit) }
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// At most `limit` changes of statements before a revision, newest first.
    public func changes(before revision: Int, limit: Int) throws(StoreError) -> [ChangeRecord] {
        do {
            return try pool.read { try ChangeRow.fetch($0, before: revision, limit: limit) }
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// What was stated in a revision.
    public func statement(_ revision: Int) throws(StoreError) -> PastStatement {
        do {
            return try pool.read { try ChangeRow.statement($0, revision) }
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// For what copies it.
    var reading: some DatabaseReader { pool }

    /// The size of the write-ahead log, which grows until a checkpoint.
    public var walBytes: Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path + "-wal")
        return attributes?[.size] as? Int ?? 0
    }

    /// `PRAGMA synchronous` of the connection, for tests: 2 is FULL.
    package func synchronousLevel() throws -> Int? {
        try pool.read { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
    }

    private func perform<Value>(
        durably: Bool, _ body: (consuming Transaction) throws -> Value, committed: (Value) -> Void
    ) throws -> Value {
        try pool.writeWithoutTransaction { database in
            if !durably { try database.execute(sql: "PRAGMA synchronous = NORMAL") }
            defer {
                // It can only fail inside a transaction, and there is none left.
                if !durably { try? database.execute(sql: "PRAGMA synchronous = FULL") }
            }
            var value: Value?
            try database.inTransaction(.immediate) {
                value = try body(Transaction(database, path: path))
                return .commit
            }
            guard let value else { throw StoreError.failed(detail: "a transaction ended without a result") }
            committed(value)
            return value
        }
    }
}

extension StoreError {
    init(_ error: any Error, path: String) {
        switch error {
        case let error as StoreError: self = error
        case let error as DatabaseError:
            switch error.resultCode {
            case .SQLITE_FULL: self = .full
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                self = .damaged(path: path, detail: error.message ?? error.resultCode.description)
            default: self = .failed(detail: error.message ?? error.resultCode.description)
            }
        default: self = .failed(detail: String(describing: error))
        }
    }
}
