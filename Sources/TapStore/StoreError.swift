/// Why the database does not do what it is asked.
public enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another process has the database open.
    case inUse(path: String)
    /// The file belongs to another program.
    case foreign(path: String)
    /// A newer Tapster has written it.
    case tooNew(path: String, unknown: [String])
    /// Its contents are damaged.
    case damaged(path: String, detail: String)
    /// The disk has no room.
    case full
    /// So many copies lie beside it that another one might fill the disk.
    case tooManyBackups(directory: String, count: Int)
    /// More requests with an Idempotency-Key than are remembered.
    case tooManyAnswers(count: Int)
    /// Anything else that SQLite says.
    case failed(detail: String)

    /// Whether other writes would fail too.
    public var concernsAll: Bool {
        switch self {
        case .failed, .tooManyBackups, .tooManyAnswers: false
        case .inUse, .foreign, .tooNew, .damaged, .full: true
        }
    }

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
            "the database \(path) is damaged (\(detail)); nothing was changed; restore a backup"
        case .full:
            "no room is left on the database's disk; free some and try again"
        case .tooManyBackups(let directory, let count):
            "\(count) backups lie in \(directory); move or remove some"
        case .tooManyAnswers(let count):
            "\(count) requests with an Idempotency-Key are remembered already, each for a day; send this one without, or "
                + "come again later"
        case .failed(let detail):
            "the database failed: \(detail)"
        }
    }
}
