internal import TapSystem

/// The files that the database was opened with.
///
/// SQLite goes on writing to a file that was deleted or replaced, and reports no error; what it commits then is lost
/// when the process ends.
struct DatabaseFiles: Sendable {
    /// Device and inode, which identify a file independently of its name (inode(7)).
    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64

        /// `nil` if there is no file.
        init?(path: String) {
            guard let status = try? FileStatus(path: path) else { return nil }
            device = status.device
            inode = status.inode
        }
    }

    private let identities: [(path: String, identity: Identity)]

    /// - Parameter path: The database file's. The database is open, so its log and shared-memory files exist.
    /// - Throws: `StoreError.gone` if one of the files does not exist any more.
    init(path: String) throws(StoreError) {
        var identities: [(path: String, identity: Identity)] = []
        for path in [path, path + "-wal", path + "-shm", path + ".lock"] {
            guard let identity = Identity(path: path) else { throw .gone(path: path) }
            identities.append((path, identity))
        }
        self.identities = identities
    }

    /// - Throws: `StoreError.gone` if one of them is not at its path any more, or another file is there.
    func check() throws(StoreError) {
        for (path, identity) in identities where Identity(path: path) != identity { throw .gone(path: path) }
    }
}
