internal import CLinux
internal import Glibc

/// A thread that could not be started.
public struct ThreadFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let name: String
    public let errno: Errno

    public var description: String {
        "the thread '\(name)' cannot be started (\(errno)); raise RLIMIT_NPROC, or the service's TasksMax="
    }
}

/// Threads with a name, as ps(1), top(1), gdb and perf show it. They are never joined: what ends them signals it.
public enum NamedThread {
    /// Runs `body` on a thread of its own (pthread_create(3)).
    ///
    /// - Parameters:
    ///   - name: The kernel keeps 15 bytes of it (prctl(2), `PR_SET_NAME`).
    ///   - body: Its signals are blocked or not as those of the calling thread.
    /// - Throws: `ThreadFailure` with EAGAIN when the process or its user may have no more threads.
    public static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(ThreadFailure) {
        // SAFETY: the thread takes this reference back, or this function does when there is no thread.
        let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body))
        let result = unsafe clinux_start_thread(runThread, start.toOpaque())
        guard result == 0 else {
            unsafe start.release()
            throw ThreadFailure(name: name, errno: Errno(rawValue: result))
        }
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
    // SAFETY: this takes the reference of `start`.
    let start = unsafe Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue()
    // SAFETY: the call copies the name.
    unsafe clinux_name_thread(start.name)
    start.body()
    return nil
}
