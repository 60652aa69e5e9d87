internal import Glibc

/// The database's log as a file.
struct WriteAheadLog: Sendable {
    private static let chunkBytes = 1 << 20

    let path: String

    /// Has the disk take all of it once more.
    ///
    /// When fsync(2) fails, Linux takes the pages that it could not write for clean, and the next fsync succeeds without
    /// them. What is written once more is dirty again. Only the file's own bytes are written, so readers notice nothing.
    ///
    /// To be called while nobody else may write to the log: within a transaction that writes. SQLite has no lock on this
    /// file that closing it here would take away; those are on its neighbours.
    ///
    /// - Throws: `StoreError`: the disk does not take it.
    func rewrite() throws(StoreError) {
        let descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError(errno: errno, doing: "open", path: path) }
        defer { close(descriptor) }
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        var offset: off_t = 0
        while true {
            // SAFETY: the kernel writes at most as many bytes as the array has, and reads at most as many as it wrote.
            let count = unsafe pread(descriptor, &chunk, chunk.count, offset)
            guard count >= 0 else { throw StoreError(errno: errno, doing: "read", path: path) }
            if count == 0 { break }
            let written = unsafe pwrite(descriptor, chunk, count, offset)
            guard written > 0 else { throw StoreError(errno: errno, doing: "write", path: path) }
            offset += off_t(written)
        }
        guard fdatasync(descriptor) == 0 else { throw StoreError(errno: errno, doing: "sync", path: path) }
    }
}
