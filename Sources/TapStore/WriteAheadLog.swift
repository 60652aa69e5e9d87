internal import Glibc
internal import TapSystem

/// The database's log as a file.
struct WriteAheadLog: Sendable {
    private static let chunkBytes = 1 << 20

    let path: String

    /// Has the disk take all of it once more.
    ///
    /// When fsync(2) fails, Linux takes the pages that it could not write for clean, and the next fsync succeeds
    /// without them. What is written once more is dirty again. Only the file's own bytes are written, so readers notice
    /// nothing.
    ///
    /// To be called while nobody else may write to the log: within a transaction that writes. SQLite has no lock on
    /// this file that closing it here would take away; those are on its neighbours.
    ///
    /// - Throws: `StoreError`: the disk does not take it.
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
