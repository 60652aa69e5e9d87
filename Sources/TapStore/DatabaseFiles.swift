internal import TapSystem

/// The files that the database was opened with.
///
/// SQLite goes on writing to a file that somebody has deleted or replaced, and tells nobody; what it acknowledges then
/// is lost with the process.
struct DatabaseFiles: Sendable {
    /// Device and inode: which file it is, whatever its name (inode(7)).
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
