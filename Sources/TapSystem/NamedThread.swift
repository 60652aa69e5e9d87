internal import CLinux
internal import Glibc

/// A thread that could not be started.
public struct ThreadFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The thread's.
    public let name: String
    /// EAGAIN, or another error of pthread_create(3).
    public let errno: Errno

    /// One sentence for people: what failed and what to do.
    public var description: String {
        "the thread '\(name)' cannot be started (\(errno)); raise RLIMIT_NPROC, or the service's TasksMax="
    }
}

/// Threads with a name that ps(1), top(1), gdb and perf show. They are detached; a thread that others wait for signals
/// its end itself.
public enum NamedThread {
    /// Runs `body` on a thread of its own (pthread_create(3)).
    ///
    /// - Parameters:
    ///   - name: The kernel keeps the first 15 bytes (prctl(2), `PR_SET_NAME`).
    ///   - body: Runs with all signals blocked, except those of a crash.
    /// - Throws: `ThreadFailure` with EAGAIN if the process or its user may not start more threads.
    public static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(ThreadFailure) {
        // SAFETY: the thread releases this reference, or this function does if there is no thread.
        let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body))
        let result = unsafe clinux_start_thread(runThread, start.toOpaque())
        guard result == 0 else {
            unsafe start.release()
            throw ThreadFailure(name: name, errno: Errno(rawValue: result))
        }
    }

    /// Gives the calling thread another name; on the main thread this is the process's (`/proc/PID/comm`).
    public static func rename(_ name: String) {
        // SAFETY: the call reads the text, which outlives it.
        unsafe clinux_name_thread(name)
    }
}

private final class ThreadStart: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

nonisolated(unsafe) private let runThread: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = {
    context in
    guard let context = unsafe context else { return nil }
    // SAFETY: this releases the reference that `start` retained.
    let start = unsafe Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue()
    // SAFETY: the call copies the name.
    unsafe clinux_name_thread(start.name)
    start.body()
    return nil
}
