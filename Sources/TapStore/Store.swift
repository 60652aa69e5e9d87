internal import GRDB
internal import GRDBSQLite
internal import Glibc
internal import Synchronization
public import TapCore
public import TapDocument
internal import TapSystem

/// The database: one file, one connection that writes, a few that read, and nobody else.
///
/// A user's write is on the disk when `write` returns (WAL, synchronous=FULL). What the worker learns from the kernel
/// is written without waiting for the disk: after a power loss the kernel's devices are gone too, and their claims
/// carry the old boot's identifier.
public final class Store: Sendable {
    /// How long a user's write, or the start, waits for another process that keeps the database locked, such as an
    /// operator's sqlite3.
    static let lockedSecondsMax = 5.0
    /// How long it waits at a stretch: the worker's turn comes in between, and it has leases to serve.
    static let lockedMillisecondsMax = 250
    /// After so many records that did not wait for the disk the next one does.
    static let recordsUnsyncedMax = 256
    /// The log goes into the database when it is so long: 16 MiB. A write changes about eight pages, and the one that
    /// finds the log full waits for all of them, so about one in five hundred does.
    private static let checkpointPages = 4_000

    /// Connections that only read, and so do not make writers wait.
    static let readersMax = 2

    private let isStopping = Atomic(false)
    private let lock: DatabaseLock
    private let pool: DatabasePool
    private let files: DatabaseFiles
    private let log: WriteAheadLog
    public let path: String

    private struct Condition {
        /// Why nothing is written any more until a restart.
        var lastingFailure: StoreError?
        /// Whether the disk may lack some of what SQLite takes for written, or have some that it has taken back. At the
        /// start too: nobody knows how an earlier process fared.
        var isSuspect = true
        /// Records since the disk was last waited for.
        var recordsUnsynced = 0
    }
    private let condition = Mutex(Condition())

    /// Opens or makes the database, checks it and brings its schema up to date.
    ///
    /// - Throws: `StoreError`; the file is then as it was.
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
            // Here, since GRDB makes it NORMAL for the connection that writes after it has prepared it.
            try pool.writeWithoutTransaction { try $0.execute(sql: Self.synchronous + "; " + Self.savepointsInMemory) }
            try Schema.prepare(pool, path: path)
            try pool.writeWithoutTransaction {
                try $0.execute(sql: "PRAGMA busy_timeout = \(Self.lockedMillisecondsMax)")
            }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_ERROR {
            // The SQL is ours, and right for the schema that the file shall have.
            throw .damaged(path: path, detail: error.message ?? "its schema cannot be read")
        } catch {
            throw StoreError(error, path: path)
        }
        files = try DatabaseFiles(path: path)
        log = WriteAheadLog(path: path + "-wal")
    }

    /// What keeps the database from taking writes, as far as that can be seen without one.
    public var failure: StoreError? {
        if let failure = condition.withLock({ $0.lastingFailure }) { return failure }
        do throws(StoreError) { try files.check() } catch { return error }
        return nil
    }

    /// Every device, and the revision of the last change.
    public func load() throws(StoreError) -> (devices: [DeviceRecord], revision: Int) {
        do throws(StoreError) {
            return try read { (try DeviceRow.fetchAll($0), try Transaction.currentRevision($0)) }
        } catch {
            // What nobody can have written.
            if case .failed(let detail) = error { throw .damaged(path: path, detail: detail) }
            throw error
        }
    }

    /// The trial that waits to be confirmed.
    public func pendingTrial() throws(StoreError) -> TrialRecord? { try read(TrialRow.fetchPending) }

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
        let deadline = ContinuousClock.now + .seconds(Self.lockedSecondsMax)
        while true {
            do {
                return try perform(durably: true, body, committed: committed)
            } catch StoreError.locked where ContinuousClock.now < deadline && !isStopping.load(ordering: .relaxed) {
                continue
            }
        }
    }

    /// From here on nobody waits for a database that another process has locked: the daemon stops.
    public func stopWaiting() { isStopping.store(true, ordering: .relaxed) }

    /// Writes what was learnt from the kernel, without waiting for the disk unless told to.
    public func record(
        durably: Bool = false, _ body: (consuming Transaction) throws -> Void, committed: () -> Void = {}
    ) throws(StoreError) {
        do {
            try perform(durably: durably, body, committed: { _ in committed() })
        } catch {
            throw noted(StoreError(error, path: path))
        }
    }

    /// Events after a given one, oldest first.
    public func events(after id: Int, device: DeviceName?, limit: Int) throws(StoreError) -> [EventRecord] {
        try read { try EventRow.fetch($0, after: id, device: device, limit: limit) }
    }

    /// At most `limit` changes of statements before a revision, newest first.
    public func changes(before revision: Int, limit: Int) throws(StoreError) -> [PastChange] {
        try read { try ChangeRow.fetch($0, before: revision, limit: limit) }
    }

    /// What was stated in a revision.
    public func statement(_ revision: Int) throws(StoreError) -> PastStatement {
        try read { try ChangeRow.statement($0, revision) }
    }

    /// For what copies it.
    var reading: some DatabaseReader { pool }

    /// The size of the write-ahead log, which grows until a checkpoint.
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

    /// Nothing is written to a damaged database any more.
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
            if !waits { try relax(database) }
            defer { if !waits { tighten(database) } }
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
        var isDecided = false
        do {
            try database.inTransaction(.immediate) {
                if isSuspect {
                    try log.rewrite()
                    try database.execute(sql: Self.emptyWrite)
                }
                value = try body(Transaction(database, path: path))
                // The last look: what goes during the commit could as well go right after it. When the very files are
                // back, what was written meanwhile is in them.
                try files.check()
                isDecided = true
                return .commit
            }
        } catch let error as DatabaseError {
            let failure = StoreError(error, path: path, errno: lastErrno(database))
            if isDecided { distrust(database) }
            throw noted(failure)
        } catch let failure as StoreError {
            throw noted(failure)
        }
        guard let value else { throw StoreError.failed(detail: "a transaction ended without a result") }
        return value
    }

    /// Of the system call that failed last in SQLite's I/O on its log; `nil` if none has.
    private func lastErrno(_ database: Database) -> Errno? {
        var log: UnsafeMutablePointer<sqlite3_file>?
        var errno: Int32 = 0
        // SAFETY: the connection is ours while this runs, and the log is open as long as it is.
        unsafe sqlite3_file_control(database.sqliteConnection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log)
        _ = unsafe log?.pointee.pMethods?.pointee.xFileControl?(log, SQLITE_FCNTL_LAST_ERRNO, &errno)
        return errno == 0 ? nil : Errno(rawValue: errno)
    }

    // MARK: Waiting for the disk

    private static let synchronous = "PRAGMA synchronous = FULL"
    /// What a savepoint may have to put back is kept in memory: else the pages of a write that changes more than 16 are
    /// first copied to a file. A write changes no more than its 8 MiB of body can say.
    private static let savepointsInMemory = "PRAGMA temp_store = MEMORY"
    /// Changes nothing, and yet has a page written.
    private static let emptyWrite = "PRAGMA user_version = 0"

    /// What is committed from here on does not wait for the disk. Nor does it move the log into the database: that
    /// begins with an fsync(2) whose failure SQLite keeps to itself, and the next one would succeed without the
    /// records.
    private func relax(_ database: Database) throws {
        try database.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0")
    }

    private func tighten(_ database: Database) {
        // It can only fail inside a transaction, and there is none left.
        try? database.execute(sql: Self.synchronous + "; PRAGMA wal_autocheckpoint = \(Self.checkpointPages)")
    }

    /// After a commit that failed.
    ///
    /// All of it may be in the log, from which the next start would take it, although it was refused. A commit of
    /// nothing takes its place at once, without the disk. And records before it may never reach the disk, so the log is
    /// written once more before anything else is.
    private func distrust(_ database: Database) {
        condition.withLock { $0.isSuspect = true }
        do {
            try relax(database)
            defer { tighten(database) }
            try database.execute(sql: Self.emptyWrite)
        } catch {
            // The next write takes the place, if the daemon lives to see it.
        }
    }
}
