internal import Glibc
internal import TapSystem

/// The database's log as a file.
struct WriteAheadLog: Sendable {
    private static let chunkBytes = 1 << 20

    let path: String

    /// Writes the whole file to the disk once more, and waits until it is there.
    ///
    /// When fsync(2) fails, Linux marks the pages that it could not write as clean, and the next fsync succeeds without
    /// them. Writing them again makes them dirty again. The bytes do not change, so readers are not affected.
    ///
    /// Must be called within a write transaction, so that no other connection writes to the log. Closing a descriptor
    /// of a file releases the process's locks on that file (fcntl(2)), but SQLite locks only the other files.
    ///
    /// - Throws: `StoreError` if the file cannot be read or written.
    func rewrite() throws(StoreError) {
        do throws(Errno) {
            let file = try FileDescriptor(opening: path, flags: O_RDWR)
            var offset = 0
            while true {
                let chunk = try file.read(upTo: Self.chunkBytes, at: offset)
                if chunk.isEmpty { break }
                try file.write(chunk, at: offset)
                offset += chunk.count
            }
            try file.synchronizeData()
        } catch {
            throw StoreError(errno: error, doing: "rewrite", path: path)
        }
    }
}
