internal import GRDB
internal import GRDBSQLite
internal import Glibc
internal import Synchronization
public import TapCore
public import TapDocument
internal import TapSystem

/// The SQLite database: one connection that writes, and up to `readersMax` that read. `DatabaseLock` keeps other
/// daemons out.
///
/// A client's write is on the disk when `write` returns (WAL, synchronous=FULL). `record` does not wait for the disk:
/// what the worker learns from the kernel is not needed after a power loss, since the kernel's devices are gone too and
/// their claims carry the old boot's identifier.
public final class Store: Sendable {
    /// How long a client's write, or opening the database, waits for another process that keeps the database locked,
    /// such as an operator's sqlite3.
    static let lockedSecondsMax = 5.0
    /// How long one attempt waits (`PRAGMA busy_timeout`). Between attempts the worker can write: it has leases to
    /// serve.
    static let lockedMillisecondsMax = 250
    /// After this many records that did not wait for the disk, the next one does.
    static let recordsUnsyncedMax = 256
    /// Pages in the log (16 MiB) at which SQLite copies it into the database (`PRAGMA wal_autocheckpoint`). A write
    /// changes about eight pages, so about one write in five hundred waits for a checkpoint.
    private static let checkpointPages = 4_000

    /// Connections that only read, and so do not block writers.
    static let readersMax = 2

    private let isStopping = Atomic(false)
    private let lock: DatabaseLock
    private let pool: DatabasePool
    private let files: DatabaseFiles
    private let log: WriteAheadLog
    /// The database file's path.
    public let path: String

    private struct Condition {
        /// Why writes are refused until a restart; `nil` if they are not.
        var lastingFailure: StoreError?
        /// Whether the log on disk may differ from what SQLite assumes: it may lack pages that SQLite considers
        /// written, or have pages of a commit that was reported as failed. True at the start too, since an earlier
        /// process may have left it so.
        var isSuspect = true
        /// Records written since the last wait for the disk.
        var recordsUnsynced = 0
    }
    private let condition = Mutex(Condition())

    /// Opens or creates the database, checks it and brings its schema up to date.
    ///
    /// - Throws: `StoreError`; the file is then unchanged.
    public init(path: String) throws(StoreError) {
        lock = try DatabaseLock(database: path)
        self.path = path
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(Self.lockedSecondsMax)
        configuration.label = "tapster.store"
        configuration.maximumReaderCount = Self.readersMax
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            // Set here, since GRDB sets the writing connection to NORMAL after `prepareDatabase`.
            try pool.writeWithoutTransaction { try $0.execute(sql: Self.synchronous + "; " + Self.savepointsInMemory) }
            try Schema.prepare(pool, path: path)
            try pool.writeWithoutTransaction {
                try $0.execute(sql: "PRAGMA busy_timeout = \(Self.lockedMillisecondsMax)")
            }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_ERROR {
            // Our SQL fits the schema that the file should have, so the file has another one.
            throw .damaged(path: path, detail: error.message ?? "its schema cannot be read")
        } catch {
            throw StoreError(error, path: path)
        }
        files = try DatabaseFiles(path: path)
        log = WriteAheadLog(path: path + "-wal")
    }

    /// Why the database would refuse a write, as far as can be seen without trying one; `nil` if no reason is known.
    public var failure: StoreError? {
        if let failure = condition.withLock({ $0.lastingFailure }) { return failure }
        do throws(StoreError) { try files.check() } catch { return error }
        return nil
    }

    /// Every device, and the revision of the last change.
    ///
    /// - Throws: `StoreError`: `damaged` if a row cannot be decoded.
    public func load() throws(StoreError) -> (devices: [DeviceRecord], revision: Int) {
        do throws(StoreError) {
            return try read { (try DeviceRow.fetchAll($0), try Transaction.currentRevision($0)) }
        } catch {
            // A row that Tapster cannot have written.
            if case .failed(let detail) = error { throw .damaged(path: path, detail: detail) }
            throw error
        }
    }

    /// The apply that is still to be confirmed; `nil` if there is none.
    public func pendingTrial() throws(StoreError) -> TrialRecord? { try read(TrialRow.fetchPending) }

    /// Runs a client's write as one transaction, and returns when it is on the disk.
    ///
    /// - Parameters:
    ///   - body: Reads and writes; an error rolls all of it back.
    ///   - committed: Runs after the commit and before the next write, so that what it publishes is in commit order.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws, or `StoreError`.
    public func write<Value>(
        _ body: (consuming Transaction) throws -> Value, committed: (Value) -> Void = { _ in }
    ) throws -> Value {
        let deadline = ContinuousClock.now + .seconds(Self.lockedSecondsMax)
        while true {
            do {
                return try perform(durably: true, body, committed: committed)
            } catch StoreError.locked where ContinuousClock.now < deadline && !isStopping.load(ordering: .relaxed) {
                continue
            }
        }
    }

    /// From now on `write` does not retry while another process keeps the database locked, so that the daemon can stop.
    public func stopWaiting() { isStopping.store(true, ordering: .relaxed) }

    /// Writes what the worker learnt from the kernel as one transaction; waits for the disk only if `durably` is true.
    public func record(
        durably: Bool = false, _ body: (consuming Transaction) throws -> Void, committed: () -> Void = {}
    ) throws(StoreError) {
        do {
            try perform(durably: durably, body, committed: { _ in committed() })
        } catch {
            throw noted(StoreError(error, path: path))
        }
    }

    /// At most `limit` events after the one with the identifier `id`, oldest first; of all devices if `device` is
    /// `nil`.
    public func events(after id: Int, device: DeviceName?, limit: Int) throws(StoreError) -> [EventRecord] {
        try read { try EventRow.fetch($0, after: id, device: device, limit: limit) }
    }

    /// At most `limit` changes of the wanted state before a revision, newest first.
    public func changes(before revision: Int, limit: Int) throws(StoreError) -> [PastChange] {
        try read { try ChangeRow.fetch($0, before: revision, limit: limit) }
    }

    /// The wanted state of all devices at a revision.
    public func wantedState(at revision: Int) throws(StoreError) -> PastState {
        try read { try ChangeRow.statement($0, revision) }
    }

    /// The database as `backUp` reads it.
    var reading: some DatabaseReader { pool }

    /// The size of the write-ahead log in bytes, which grows until a checkpoint; 0 if there is no log.
    public var walBytes: Int {
        var status = stat()
        // SAFETY: the call writes to `status` alone, which outlives it.
        return unsafe stat(log.path, &status) == 0 ? status.st_size : 0
    }

    /// `PRAGMA synchronous` of the connection that writes, for tests: 2 is FULL.
    package func synchronousLevel() throws -> Int? {
        try pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
    }

    private func read<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        do { return try pool.read(body) } catch { throw noted(StoreError(error, path: path)) }
    }

    /// Notes a `damaged` failure, after which the database is not written any more.
    private func noted(_ failure: StoreError) -> StoreError {
        if case .damaged = failure { condition.withLock { $0.lastingFailure = failure } }
        return failure
    }

    // MARK: One transaction

    private func perform<Value>(
        durably: Bool, _ body: (consuming Transaction) throws -> Value, committed: (Value) -> Void
    ) throws -> Value {
        try pool.writeWithoutTransaction { database in
            let condition = condition.withLock { $0 }
            if let failure = condition.lastingFailure { throw failure }
            let waits = durably || condition.recordsUnsynced >= Self.recordsUnsyncedMax
            if !waits { try disableSync(database) }
            defer { if !waits { enableSync(database) } }
            let value = try transact(database, isSuspect: condition.isSuspect, body)
            self.condition.withLock { condition in
                condition.isSuspect = false
                condition.recordsUnsynced = waits ? 0 : condition.recordsUnsynced + 1
            }
            committed(value)
            return value
        }
    }

    private func transact<Value>(
        _ database: Database, isSuspect: Bool, _ body: (consuming Transaction) throws -> Value
    ) throws -> Value {
        var value: Value?
        var isCommitting = false
        do {
            try database.inTransaction(.immediate) {
                if isSuspect {
                    try log.rewrite()
                    try database.execute(sql: Self.emptyWrite)
                }
                value = try body(Transaction(database, path: path))
                // Not checked again after the commit: a file that is removed during it might as well be removed right
                // after it. If the same files are put back, they contain what was written meanwhile.
                try files.check()
                isCommitting = true
                return .commit
            }
        } catch let error as DatabaseError {
            let failure = StoreError(error, path: path, errno: lastErrno(database))
            if isCommitting { overwriteFailedCommit(database) }
            throw noted(failure)
        } catch let failure as StoreError {
            throw noted(failure)
        }
        guard let value else { throw StoreError.failed(detail: "a transaction ended without a result") }
        return value
    }

    /// The `errno` of the last system call that failed in SQLite's I/O on its log; `nil` if none has.
    private func lastErrno(_ database: Database) -> Errno? {
        var log: UnsafeMutablePointer<sqlite3_file>?
        var errno: Int32 = 0
        // SAFETY: only this thread uses the connection while this runs, and the log stays open as long as the
        // connection.
        unsafe sqlite3_file_control(database.sqliteConnection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log)
        _ = unsafe log?.pointee.pMethods?.pointee.xFileControl?(log, SQLITE_FCNTL_LAST_ERRNO, &errno)
        return errno == 0 ? nil : Errno(rawValue: errno)
    }

    // MARK: Waiting for the disk

    private static let synchronous = "PRAGMA synchronous = FULL"
    /// Keeps in memory the pages that a savepoint may have to restore: otherwise SQLite copies them to a file when a
    /// write changes more than 16. Their number is bounded, since a request's body has at most 8 MiB.
    private static let savepointsInMemory = "PRAGMA temp_store = MEMORY"
    /// Changes no value, but makes SQLite write a page.
    private static let emptyWrite = "PRAGMA user_version = 0"

    /// From here on commits do not wait for the disk. Nor do they run a checkpoint: that begins with an fsync(2) whose
    /// failure SQLite does not report, and the next fsync would succeed without the records.
    private func disableSync(_ database: Database) throws {
        try database.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0")
    }

    private func enableSync(_ database: Database) {
        // These pragmas fail only inside a transaction, and none is open here.
        try? database.execute(sql: Self.synchronous + "; PRAGMA wal_autocheckpoint = \(Self.checkpointPages)")
    }

    /// Overwrites a failed commit in the log.
    ///
    /// All of it may be in the log, and the next start would apply it although the client got an error. An empty commit
    /// overwrites it at once, without waiting for the disk. Records before it may be missing on the disk too, so the
    /// log is rewritten before the next write.
    private func overwriteFailedCommit(_ database: Database) {
        condition.withLock { $0.isSuspect = true }
        do {
            try disableSync(database)
            defer { enableSync(database) }
            try database.execute(sql: Self.emptyWrite)
        } catch {
            // Then the next write overwrites it, unless the daemon ends first.
        }
    }
}
