internal import Glibc

/// The files that the database was opened with.
///
/// SQLite goes on writing to a file that somebody has deleted or replaced, and tells nobody; what it acknowledges then
/// is lost with the process.
struct DatabaseFiles: Sendable {
    /// Which file it is, whatever it is called (inode(7)). While it is open nobody else gets its numbers.
    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64

        /// Nothing when there is none.
        init?(path: String) {
            var status = stat()
            // SAFETY: `stat` writes to `status` alone, which outlives the call.
            guard unsafe stat(path, &status) == 0 else { return nil }
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }
    }

    private let identities: [(path: String, identity: Identity)]

    /// - Parameter path: The database's, which is open: its log and its index are there.
    /// - Throws: `StoreError.gone` when it is not there any more.
    init(path: String) throws(StoreError) {
        var identities: [(path: String, identity: Identity)] = []
        for path in [path, path + "-wal", path + "-shm", path + ".lock"] {
            guard let identity = Identity(path: path) else { throw .gone(path: path) }
            identities.append((path, identity))
        }
        self.identities = identities
    }

    /// - Throws: `StoreError.gone` when one of them is not where it was, or another file is there.
    func check() throws(StoreError) {
        for (path, identity) in identities where Identity(path: path) != identity { throw .gone(path: path) }
    }
}
