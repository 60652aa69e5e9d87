internal import GRDB
internal import TapSystem

/// Why the database could not be opened, read or written.
public enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another process has the database open.
    case inUse(path: String)
    /// The file belongs to another program.
    case foreign(path: String)
    /// A newer Tapster has written it.
    case tooNew(path: String, unknown: [String])
    /// Its contents are damaged.
    case damaged(path: String, detail: String)
    /// One of its files is not where it was when it was opened.
    case gone(path: String)
    /// Another process keeps it locked.
    case locked(path: String)
    /// Its file system is read-only.
    case readOnly(path: String)
    /// The disk has no room.
    case full
    /// There are `Store.backupsMax` backups beside it already; another one might fill the disk.
    case tooManyBackups(directory: String, count: Int)
    /// As many answers to requests with an `Idempotency-Key` are kept as the limit allows.
    case tooManyAnswers(count: Int)
    /// Any other failure of SQLite or of a system call.
    case failed(detail: String)

    /// Whether other writes would fail too.
    public var concernsAll: Bool {
        switch self {
        case .failed, .tooManyBackups, .tooManyAnswers: false
        case .inUse, .foreign, .tooNew, .damaged, .gone, .locked, .readOnly, .full: true
        }
    }

    /// What is wrong and what to do, for an operator.
    public var description: String {
        switch self {
        case .inUse(let path):
            "the database \(path) is in use by another tapster; stop that one, or choose another --database"
        case .foreign(let path):
            "\(path) is a database of another program; choose another --database"
        case .tooNew(let path, let unknown):
            "the database \(path) was written by a newer tapster (it has \(unknown.joined(separator: ", "))); "
                + "run that version, or restore a backup"
        case .damaged(let path, let detail):
            "the database \(path) is damaged (\(detail)); nothing was changed; restore a backup and restart"
        case .gone(let path):
            "\(path) was deleted, moved or replaced while it was open; put that very file back, "
                + "or restore a backup and restart"
        case .locked(let path):
            "another process keeps the database \(path) locked; end it (fuser \(path) names those that have it open)"
        case .readOnly(let path):
            "the database \(path) cannot be written: its file system is read-only; find out why (see dmesg), "
                + "and mount it writable again"
        case .full:
            "the database's disk is full; free some space and try again"
        case .tooManyBackups(let directory, let count):
            "\(directory) has \(count) backups already; move or remove some"
        case .tooManyAnswers(let count):
            "the answers of \(count) requests with an Idempotency-Key are kept already, each for a day; send this one "
                + "without the header, or try again later"
        case .failed(let detail):
            "the database failed: \(detail)"
        }
    }
}

extension StoreError {
    /// - Parameters:
    ///   - error: What was thrown.
    ///   - path: The database file's path.
    ///   - errno: Of the system call that failed in SQLite, which itself reports only that I/O failed; `nil` if
    ///     unknown.
    init(_ error: any Error, path: String, errno: Errno? = nil) {
        switch error {
        case let error as StoreError: self = error
        case let error as DatabaseError:
            let detail = error.message ?? error.resultCode.description
            switch error.resultCode {
            case .SQLITE_FULL: self = .full
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: self = .damaged(path: path, detail: detail)
            case .SQLITE_BUSY, .SQLITE_LOCKED: self = .locked(path: path)
            case .SQLITE_READONLY: self = .readOnly(path: path)
            case .SQLITE_IOERR:
                let failure = "\(detail) (\(error.extendedResultCode.rawValue))"
                if let errno {
                    self.init(errno: errno, path: path, failure: failure)
                } else {
                    self = .failed(detail: failure)
                }
            default: self = .failed(detail: "\(detail) (\(error.extendedResultCode.rawValue))")
            }
        default: self = .failed(detail: String(describing: error))
        }
    }

    /// For a system call of Tapster itself that failed on a file of the database.
    init(errno: Errno, doing action: String, path: String) {
        self.init(errno: errno, path: path, failure: "cannot \(action) \(path)")
    }

    private init(errno: Errno, path: String, failure: String) {
        switch errno {
        case .noSpace, .quotaExceeded: self = .full
        case .readOnly: self = .readOnly(path: path)
        default: self = .failed(detail: "\(failure): \(errno.meaning)")
        }
    }
}
