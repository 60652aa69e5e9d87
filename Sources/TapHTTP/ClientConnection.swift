internal import Foundation
internal import Glibc
internal import Synchronization

/// A client's connection and the time by which it must have done its next thing.
///
/// The library's own time-out counts silence only: one byte every few seconds would hold a connection for ever.
final class ClientConnection: Sendable {
    private static let never = Int64.max

    let socket: Int32
    private let deadline = Atomic<Int64>(never)

    init(socket: Int32) {
        self.socket = socket
    }

    func expect(within seconds: Int) {
        deadline.store(Self.now() + Int64(seconds), ordering: .relaxed)
    }

    func expectNothing() {
        deadline.store(Self.never, ordering: .relaxed)
    }

    fileprivate var isOverdue: Bool {
        deadline.load(ordering: .relaxed) < Self.now()
    }

    private static func now() -> Int64 {
        var time = timespec()
        // SAFETY: the call writes the local.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return Int64(time.tv_sec)
    }
}

/// All connections of a server. A thread that sleeps while there are none cuts off those that are overdue.
final class ClientConnections: @unchecked Sendable {
    // Unchecked: `open`, `isStopping` and `overdue` are only touched while `condition` is locked.
    private let condition = NSCondition()
    private var open: [ObjectIdentifier: ClientConnection] = [:]
    private var isStopping = false
    private var overdue = 0

    init() {
        let thread = Thread { [self] in watch() }
        thread.name = "tapster-deadline"
        thread.start()
    }

    func insert(_ connection: ClientConnection) {
        condition.withLock {
            open[ObjectIdentifier(connection)] = connection
            condition.signal()
        }
    }

    /// Called before the library closes the socket, so that its number is never shut down for somebody else.
    func remove(_ connection: ClientConnection) {
        condition.withLock { _ = open.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    /// How many were cut off.
    var overdueCount: Int { condition.withLock { overdue } }

    func stop() {
        condition.withLock {
            isStopping = true
            condition.signal()
        }
    }

    private func watch() {
        condition.lock()
        defer { condition.unlock() }
        while !isStopping {
            if open.isEmpty {
                condition.wait()
            } else {
                _ = condition.wait(until: Date(timeIntervalSinceNow: 1))
            }
            for connection in open.values where connection.isOverdue {
                connection.expectNothing()
                overdue += 1
                shutdown(connection.socket, Int32(SHUT_RDWR))
            }
        }
    }
}
