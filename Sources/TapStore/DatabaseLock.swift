internal import Glibc

/// Keeps a second daemon from the same database (flock(2)). The kernel lets go of it however the process ends.
///
/// SQLite's own locks would let two writers take turns; but two writing connections to a WAL database meet a defect
/// of SQLite before 3.51.3, and two workers would fight over the same devices.
final class DatabaseLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `StoreError.inUse`, or why the file cannot be made.
    init(database path: String) throws(StoreError) {
        let lock = path + ".lock"
        descriptor = unsafe open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError(errno: errno, doing: "open", path: lock) }
        // The object is whole by now, so `deinit` closes: a second close would hit whoever has the number next.
        for _ in 0..<Self.attemptsMax {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
            usleep(Self.attemptMicroseconds)
        }
        throw .inUse(path: path)
    }

    /// How often it is tried: whoever is just ending lets go of it a moment later, and so does a child of his that has
    /// not become another program yet.
    private static let attemptsMax = 50
    private static let attemptMicroseconds: UInt32 = 10_000

    deinit {
        close(descriptor)
    }
}
