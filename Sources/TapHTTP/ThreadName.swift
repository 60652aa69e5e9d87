internal import Foundation

/// What ps(1), top(1), gdb and perf call a thread.
public enum ThreadName {
    /// Names the calling thread, by proc(5): the system keeps 15 bytes. `Thread.name` is only told to the system when it
    /// is set at the right moment of a thread's beginning, which nobody can know.
    public static func set(_ name: String) {
        // Without /proc it has no name, and works all the same.
        try? name.write(toFile: "/proc/thread-self/comm", atomically: false, encoding: .utf8)
    }
}
