import CLinux
import Foundation
import Glibc
import Testing

/// The single condition for tests that need root and a kernel with tun.
public enum Privileged {
    /// Whether this process is root and has `/dev/net/tun`.
    public static let isAvailable = geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0

    /// Set where a skipped test counts as a failed one.
    public static let isRequired = ProcessInfo.processInfo.environment["TAPSTER_REQUIRE_PRIVILEGED"] == "1"
}

extension Trait where Self == ConditionTrait {
    /// Runs only as root with `/dev/net/tun`.
    public static var privileged: Self { .enabled(if: Privileged.isAvailable, "needs root and /dev/net/tun") }
}

/// Runs `body` on a thread in a network namespace of its own, which exists until the last process in it has ended.
///
/// Only a few run at a time: each may start a daemon, and the machine may be small.
public func inNamespace(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await onThread {
        guard clinux_unshare_network() == 0 else { throw TestFailure("unshare: \(String(cString: strerror(errno)))") }
        try body()
    }
}

/// Runs `body` on a thread of its own, because it blocks and the test runner has few threads.
public func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let thread = Thread {
            places.wait()
            defer { places.signal() }
            continuation.resume(with: Result { try body() })
        }
        thread.stackSize = 8 << 20
        thread.start()
    }
}

private let places = DispatchSemaphore(value: min(4, 2 * ProcessInfo.processInfo.activeProcessorCount))

/// The factor by which time limits are extended: more than one on an emulated processor.
public let patience = max(1, ProcessInfo.processInfo.environment["TAPSTER_PATIENCE"].flatMap(Double.init) ?? 1)

/// A failed precondition of a test, with its description.
public struct TestFailure: Error, CustomStringConvertible {
    /// What failed.
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// Runs `body` with a directory that is removed afterwards.
public func withTemporaryDirectory<Value>(in parent: String = "/tmp", _ body: (String) throws -> Value) throws -> Value
{
    // Short, since a Unix socket's path has at most 107 bytes.
    let path = parent + "/tapster-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
}

/// Repeats a check until it succeeds.
///
/// - Parameters:
///   - what: The expected state, for the error message.
///   - seconds: The time limit, multiplied by `patience`.
///   - isSo: The check.
/// - Throws: `TestFailure` at the limit; the default of ten seconds is far more than anything here takes, so that a
///   slow machine causes no failure.
public func eventually(
    _ what: String, within seconds: Double = 10, _ isSo: () throws -> Bool
) throws {
    let deadline = Date(timeIntervalSinceNow: seconds * patience)
    while try !isSo() {
        guard Date() < deadline else { throw TestFailure("not within \(seconds * patience) s: \(what)") }
        usleep(UInt32(5_000 * patience))
    }
}
