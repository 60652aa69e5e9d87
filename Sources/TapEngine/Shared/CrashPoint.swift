internal import Foundation
internal import Synchronization

/// Where a debug build stops dead when told to: `TAPSTER_CRASH_AT=persist` or, for the third time it comes there,
/// `TAPSTER_CRASH_AT=persist:3`. The points are the names of the steps, and those that are named here.
enum CrashPoint {
    /// Before a user's write is committed.
    static let write = "write"
    /// Between two writes that share a transaction, or after the last.
    static let grouped = "grouped"
    /// After it, before anybody knows.
    static let written = "written"
    /// Before a generation is noted as reached.
    static let settle = "settle"
    /// Before a lease's queues are given to the service manager.
    static let leaseKeep = "lease_keep"
    /// Before they are handed over.
    static let leaseSend = "lease_send"
    /// Between the hand-over and its note.
    static let leaseNote = "lease_note"
    static let leaseNoted = "lease_noted"
    /// Before the queues of a lease that is over are taken back.
    static let leaseEnd = "lease_end"
    /// Between the statement that a queue is disabled or enabled, and the kernel.
    static let queueSwitch = "queue_switch"

    #if DEBUG
        private static let target: (name: String, count: Int)? = {
            guard let text = ProcessInfo.processInfo.environment["TAPSTER_CRASH_AT"] else { return nil }
            let parts = text.split(separator: ":")
            return (String(parts.first ?? ""), parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
        }()
        private static let reached = Mutex(0)

        static func reach(_ name: String) {
            guard let target, target.name == name else { return }
            let isNow = reached.withLock { count in
                count += 1
                return count == target.count
            }
            // As a kill by somebody else: nothing is cleaned up.
            if isNow { kill(getpid(), SIGKILL) }
        }
    #else
        @inline(__always) package static func reach(_: String) {}
    #endif
}
