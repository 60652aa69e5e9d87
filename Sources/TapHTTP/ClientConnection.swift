internal import Foundation
internal import Glibc
internal import Synchronization

/// A client's connection and the time by which it must have done its next thing.
///
/// The library's own time-out is off: it counts silence only, so one byte every few seconds would hold a connection for
/// ever.
final class ClientConnection: Sendable {
    private static let never = Int64.max

    let socket: Int32
    private let deadline = Atomic<Int64>(never)
    /// The same while there is a crowd.
    private let crowdedDeadline = Atomic<Int64>(never)
    private let cut = Atomic(false)

    private let known: Mutex<HTTPOrigin>

    init(socket: Int32, origin: HTTPOrigin) {
        self.socket = socket
        known = Mutex(origin)
    }

    /// Who is on the other side; its certificate is known from the first request on.
    var origin: HTTPOrigin { known.withLock { $0 } }

    func add(_ certificate: HTTPClientCertificate) {
        known.withLock { origin in
            guard case .network(var peer) = origin else { return }
            peer.certificate = certificate
            origin = .network(peer)
        }
    }

    /// - Parameters:
    ///   - seconds: How long it has for its next thing.
    ///   - crowdedSeconds: While others wait for its place.
    func expect(within seconds: Int, crowded crowdedSeconds: Int? = nil) {
        let now = Self.now()
        deadline.store(now + Int64(seconds), ordering: .relaxed)
        crowdedDeadline.store(now + Int64(crowdedSeconds ?? seconds), ordering: .relaxed)
    }

    /// It has not done its next thing in time, and was cut off.
    var wasOverdue: Bool { cut.load(ordering: .relaxed) }

    fileprivate func cutOff() {
        cut.store(true, ordering: .relaxed)
        expectNothing()
        shutdown(socket, Int32(SHUT_RDWR))
    }

    func expectNothing() {
        deadline.store(Self.never, ordering: .relaxed)
        crowdedDeadline.store(Self.never, ordering: .relaxed)
    }

    fileprivate func isOverdue(inCrowd: Bool) -> Bool {
        let time = inCrowd ? crowdedDeadline.load(ordering: .relaxed) : deadline.load(ordering: .relaxed)
        return time < Self.now()
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
    // Unchecked: `open`, `isIdle`, `isStopping` and `overdue` are only touched while `condition` is locked.
    private let condition = NSCondition()
    private var open: [ObjectIdentifier: ClientConnection] = [:]
    /// Whether the thread sleeps until there is a connection. Else it looks every second, and only a crowd is in a hurry.
    private var isIdle = false
    private var isStopping = false
    private var overdue = 0
    private let crowd: Int
    /// How many are cut off at once. When 128 connections become ready together, the library waits for one more before it
    /// serves any (`MHD_epoll()`), and in a crowd nobody else may come in.
    private static let burstMax = 32
    private static let burstSeconds = 0.005

    /// - Parameter crowd: From how many connections on there is one.
    init(crowd: Int) {
        self.crowd = crowd
        let thread = Thread { [self] in watch() }
        thread.name = "tapster-deadline"
        thread.start()
    }

    func insert(_ connection: ClientConnection) {
        condition.withLock {
            open[ObjectIdentifier(connection)] = connection
            if isIdle || open.count >= crowd { condition.signal() }
            isIdle = false
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
        var isBehind = false
        while !isStopping {
            isIdle = open.isEmpty
            if isIdle {
                condition.wait()
            } else {
                _ = condition.wait(until: Date(timeIntervalSinceNow: isBehind ? Self.burstSeconds : 1))
            }
            let isCrowd = open.count >= crowd
            let cut = Array(open.values.lazy.filter { $0.isOverdue(inCrowd: isCrowd) }.prefix(Self.burstMax))
            for connection in cut {
                connection.cutOff()
                overdue += 1
            }
            isBehind = cut.count == Self.burstMax
        }
    }
}
