internal import Foundation
internal import Glibc
internal import Synchronization
internal import TapSystem

/// A client's connection and the deadline of its next step: to send the headers or the body, or to read the response.
///
/// The library's own time-out is off: it counts inactivity only, so one byte every few seconds would hold a connection
/// forever.
final class ClientConnection: @unchecked Sendable {
    // Unchecked: `target` and `targetBytes` are accessed by the connection's own thread alone.

    private struct State {
        var origin: HTTPOrigin
        var stage = HTTPCutOff.slowHeaders
        var deadline = Int64.max
        /// The deadline that applies while half of the connections are in use.
        var crowdedDeadline = Int64.max
        var wasOverdue = false
    }

    let socket: Int32
    /// The target of the current request.
    var target = Result<RequestTarget, HTTPRejection>.failure(.malformedRequest)
    var targetBytes = 0
    private let state: Mutex<State>

    init(socket: Int32, origin: HTTPOrigin) {
        self.socket = socket
        state = Mutex(State(origin: origin))
    }

    /// The client. Its certificate is known from the first request on.
    var origin: HTTPOrigin { state.withLock { $0.origin } }

    func add(_ certificate: HTTPClientCertificate) {
        state.withLock { state in
            guard case .network(var peer) = state.origin else { return }
            peer.certificate = certificate
            state.origin = .network(peer)
        }
    }

    /// Sets the deadline of the client's next step.
    ///
    /// - Parameters:
    ///   - stage: The reason to report if the client misses the deadline.
    ///   - seconds: The time until the deadline.
    ///   - crowdedSeconds: The time that applies while half of the connections are in use.
    func expect(_ stage: HTTPCutOff = .slowReader, within seconds: Int, crowded crowdedSeconds: Int? = nil) {
        let now = Self.now()
        state.withLock { state in
            state.stage = stage
            state.deadline = now + Int64(seconds)
            state.crowdedDeadline = now + Int64(crowdedSeconds ?? seconds)
        }
    }

    /// Whether the client missed a deadline and was cut off.
    var wasOverdue: Bool { state.withLock { $0.wasOverdue } }

    func clearDeadline() {
        state.withLock { state in
            state.deadline = .max
            state.crowdedDeadline = .max
        }
    }

    fileprivate func isOverdue(isCrowded: Bool) -> Bool {
        let time = state.withLock { isCrowded ? $0.crowdedDeadline : $0.deadline }
        return time < Self.now()
    }

    /// Shuts the connection down.
    ///
    /// - Parameter report: Called with the reason, before the client can notice.
    fileprivate func cutOff(_ report: (HTTPCutOff) -> Void) {
        let stage = state.withLock { state in
            state.wasOverdue = true
            return state.stage
        }
        report(stage)
        clearDeadline()
        shutdown(socket, ShutdownMode.both)
    }

    private static func now() -> Int64 {
        var time = timespec()
        // SAFETY: the call writes the local.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return Int64(time.tv_sec)
    }
}

/// All connections of a server. A thread, which sleeps while there are none, cuts off those that are overdue.
final class ClientConnections: @unchecked Sendable {
    /// The client to which connections are attributed, for the limit of connections of one client.
    private enum Owner: Hashable {
        case user(UInt32)
        case host(Substring)
        /// Root and the daemon's own user.
        case privileged

        init(_ origin: HTTPOrigin) {
            switch origin {
            case .local(let peer) where peer.user == 0 || peer.user == geteuid(): self = .privileged
            case .local(let peer): self = .user(peer.user)
            case .network(let peer):
                let end = peer.address.lastIndex(of: ":") ?? peer.address.endIndex
                self = .host(peer.address[..<end])
            }
        }
    }

    // Unchecked: `open`, `counts`, `isIdle`, `isStopping` and `overdue` are accessed only with `condition` locked.
    private let condition = NSCondition()
    private var open: [ObjectIdentifier: ClientConnection] = [:]
    /// Whether the thread sleeps until there is a connection. Otherwise it checks the deadlines every second, and a new
    /// connection wakes it only while half of the connections are in use.
    private var isIdle = false
    private var isStopping = false
    private var overdue = 0
    private var counts: [Owner: Int] = [:]
    private let limits: HTTPLimits
    private let onCutOff: @Sendable (HTTPCutOff) -> Void
    /// From this number of connections on, the shorter deadlines apply.
    private var crowdedFrom: Int { limits.connectionsMax / 2 }
    /// How many are cut off at once. If 128 connections become ready together, the library waits for one more event
    /// before it serves any (`MHD_epoll()`); while all connections are in use, that event may never come.
    private static let burstMax = 32
    private static let burstSeconds = 0.005

    /// - Parameters:
    ///   - limits: The limits of connections, in total and of one client.
    ///   - onCutOff: Called on the deadline thread.
    init(limits: HTTPLimits, onCutOff: @escaping @Sendable (HTTPCutOff) -> Void) {
        self.limits = limits
        self.onCutOff = onCutOff
    }

    /// Starts the thread that enforces the deadlines.
    func start() throws(ThreadFailure) {
        try NamedThread.start("tapster-slow") { [self] in watch() }
    }

    /// - Returns: False if there are too many connections, in total or of its owner.
    func insert(_ connection: ClientConnection) -> Bool {
        let owner = Owner(connection.origin)
        let isPrivileged = owner == .privileged
        return condition.withLock {
            guard open.count < limits.connectionsMax + (isPrivileged ? limits.reservedConnectionsMax : 0),
                isPrivileged || counts[owner, default: 0] < limits.connectionsOfOneMax
            else { return false }
            open[ObjectIdentifier(connection)] = connection
            counts[owner, default: 0] += 1
            if isIdle || open.count >= crowdedFrom { condition.signal() }
            isIdle = false
            return true
        }
    }

    /// Called before the library closes the socket: the kernel may give its number to another connection, which this
    /// server must not shut down.
    func remove(_ connection: ClientConnection) {
        let owner = Owner(connection.origin)
        condition.withLock {
            guard open.removeValue(forKey: ObjectIdentifier(connection)) != nil, let count = counts[owner] else {
                return
            }
            counts[owner] = count > 1 ? count - 1 : nil
        }
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
            let isCrowded = open.count >= crowdedFrom
            let cut = Array(open.values.lazy.filter { $0.isOverdue(isCrowded: isCrowded) }.prefix(Self.burstMax))
            overdue += cut.count
            for connection in cut { connection.cutOff(onCutOff) }
            isBehind = cut.count == Self.burstMax
        }
    }
}
