internal import Foundation
internal import Glibc
internal import TapSystem

/// Keeps a second daemon from opening the same database (flock(2)). The kernel releases the lock however the process
/// ends.
///
/// SQLite's own locks would let two writers alternate; but two writing connections to a WAL database trigger a defect
/// of SQLite before 3.51.3, and two workers would undo each other's changes to the devices.
struct DatabaseLock: ~Copyable, Sendable {
    private let file: FileDescriptor

    /// - Throws: `StoreError.inUse`, or why the lock file cannot be created.
    init(database path: String) throws(StoreError) {
        let lock = try Self.open(path + ".lock")
        guard Self.acquire(lock) else { throw .inUse(path: path) }
        file = lock
    }

    private static func acquire(_ lock: borrowing FileDescriptor) -> Bool {
        for _ in 0..<attemptsMax {
            if (try? lock.lock(waits: false)) != nil { return true }
            Thread.sleep(forTimeInterval: attemptSeconds)
        }
        return false
    }

    private static func open(_ path: String) throws(StoreError) -> FileDescriptor {
        do throws(Errno) {
            return try FileDescriptor(opening: path, flags: O_RDWR | O_CREAT, mode: 0o600)
        } catch {
            throw StoreError(errno: error, doing: "open", path: path)
        }
    }

    /// How often taking the lock is tried: a process that is just ending releases it a moment later, and so does a
    /// child that it forked and that has not called execve(2) yet.
    private static let attemptsMax = 50
    private static let attemptSeconds = 0.01
}
