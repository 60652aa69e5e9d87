internal import Foundation
internal import Synchronization

/// Points at which a debug build kills itself if asked to: `TAPSTER_CRASH_AT=persist`, or `TAPSTER_CRASH_AT=persist:3`
/// for the third time that the point is reached. The points are the names of the steps, and those below.
enum CrashPoint {
    /// Before a user's write is committed.
    static let write = "write"
    /// Between two writes that share a transaction, or after the last.
    static let grouped = "grouped"
    /// After the commit, before it is published.
    static let written = "written"
    /// Before a settled generation is written to the database.
    static let settle = "settle"
    /// Before copies of a lease's queues are sent to the service manager.
    static let leaseKeep = "lease_keep"
    /// Before the queues are sent to the client.
    static let leaseSend = "lease_send"
    /// After the hand-over, before the journal entry.
    static let leaseNote = "lease_note"
    /// After the journal entry.
    static let leaseNoted = "lease_noted"
    /// Before the queues of an ended lease are detached.
    static let leaseEnd = "lease_end"
    /// After a queue's enabling or disabling is committed, before the kernel is changed.
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
            // SIGKILL, so that nothing is cleaned up, as after a kill from outside.
            if isNow { kill(getpid(), SIGKILL) }
        }
    #else
        /// Does nothing in a release build.
        @inline(__always) package static func reach(_: String) {}
    #endif
}
