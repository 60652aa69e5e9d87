import CLinux
import Foundation
import Glibc
import Testing

/// The one gate of every test that needs root and a kernel with tun.
public enum Privileged {
    public static let isAvailable = geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0

    /// Set where a skipped test is a failed one.
    public static let isRequired = ProcessInfo.processInfo.environment["TAPSTER_REQUIRE_PRIVILEGED"] == "1"
}

extension Trait where Self == ConditionTrait {
    /// Runs only as root with `/dev/net/tun`.
    public static var privileged: Self { .enabled(if: Privileged.isAvailable, "needs root and /dev/net/tun") }
}

/// Runs `body` on a thread with a network namespace of its own, which goes when the last process in it does.
///
/// At most a few at a time: each may start a daemon, and the machine may be small.
public func inNamespace(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await onThread {
        guard clinux_unshare_network() == 0 else { throw TestFailure("unshare: \(String(cString: strerror(errno)))") }
        try body()
    }
}

/// Runs `body` on a thread of its own, since it blocks and the test runner's threads are few.
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

/// How many times as long as elsewhere things may take here: more than one where the processor is emulated.
public let patience = max(1, ProcessInfo.processInfo.environment["TAPSTER_PATIENCE"].flatMap(Double.init) ?? 1)

public struct TestFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// A directory that is gone after `body`.
public func withTemporaryDirectory<Value>(in parent: String = "/tmp", _ body: (String) throws -> Value) throws -> Value
{
    // Short, since a Unix socket's path has at most 107 bytes.
    let path = parent + "/tapster-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
}

/// Asks until the answer is yes.
///
/// - Parameters:
///   - what: Is told when it does not come true.
///   - seconds: At most, times `patience`.
///   - isSo: The question.
/// - Throws: `TestFailure` after ten seconds: far more than anything here takes, so that a slow machine fails nothing.
public func eventually(
    _ what: String, within seconds: Double = 10, _ isSo: () throws -> Bool
) throws {
    let deadline = Date(timeIntervalSinceNow: seconds * patience)
    while try !isSo() {
        guard Date() < deadline else { throw TestFailure("not within \(seconds * patience) s: \(what)") }
        usleep(UInt32(5_000 * patience))
    }
}
