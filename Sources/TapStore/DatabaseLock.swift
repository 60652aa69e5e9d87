internal import Glibc

/// Keeps a second daemon from the same database (flock(2)). The kernel lets go of it however the process ends.
///
/// SQLite's own locks would let two writers take turns; but two writing connections to a WAL database meet a defect
/// of SQLite before 3.51.3, and two workers would fight over the same devices.
final class DatabaseLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `StoreError.inUse`, or `.failed` when the file cannot be made.
    init(database path: String) throws(StoreError) {
        descriptor = unsafe open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .failed(detail: "cannot open \(path).lock: \(unsafe String(cString: strerror(errno)))")
        }
        // The object is whole by now, so `deinit` closes: a second close would hit whoever has the number next.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(path: path) }
    }

    deinit {
        close(descriptor)
    }
}
