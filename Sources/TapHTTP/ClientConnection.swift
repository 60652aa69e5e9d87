internal import Glibc
internal import Synchronization
internal import TapSystem

/// A request from its last byte to the end of its response.
protocol RequestInProgress: AnyObject, Sendable {
    /// Answers with `refusal` if there is no answer yet, and ends a stream.
    func stop(_ refusal: HTTPResponse)
}

/// A client's connection, its request in progress, and the deadline of its next step: to send the headers or the body,
/// or to read the response.
///
/// The library's own time-out is off: it counts inactivity only, so one byte every few seconds would hold a connection
/// forever.
final class ClientConnection: @unchecked Sendable {
    // Unchecked: `target` and `targetBytes` are accessed by the connection's own thread alone.

    private struct State {
        var certificate: HTTPClientCertificate?
        var request: (any RequestInProgress)?
        var isAuthenticated: Bool
        var stage = HTTPCutOff.slowHeaders
        /// When the present stage began, in nanoseconds of the monotonic clock.
        var since: Int64 = 0
        var deadline = Int64.max
        /// The deadline that applies while half of the connections are in use.
        var crowdedDeadline = Int64.max
        var wasOverdue = false

        mutating func clearDeadline() {
            deadline = .max
            crowdedDeadline = .max
        }
    }

    let socket: Int32
    /// To whom the connection is attributed.
    let owner: ConnectionOwner
    /// The index of the server's thread that serves the connection.
    let thread: Int
    /// The target of the request that arrives; moved from here to its head.
    var target = Result<RequestTarget, HTTPRejection>.failure(.malformedRequest)
    var targetBytes = 0
    /// The client, without its certificate.
    private let peer: HTTPOrigin
    private let onAuthentication: @Sendable (ClientConnection) -> Void
    private let state: Mutex<State>

    init(
        socket: Int32, origin: HTTPOrigin, owner: ConnectionOwner, thread: Int,
        onAuthentication: @escaping @Sendable (ClientConnection) -> Void
    ) {
        self.socket = socket
        self.onAuthentication = onAuthentication
        self.owner = owner
        self.thread = thread
        peer = origin
        state = Mutex(State(isAuthenticated: owner == .privileged))
    }

    /// The client. Its certificate is known from the first request on.
    var origin: HTTPOrigin {
        guard case .network(var peer) = peer else { return peer }
        peer.certificate = state.withLock { $0.certificate }
        return .network(peer)
    }

    func add(_ certificate: HTTPClientCertificate) { state.withLock { $0.certificate = certificate } }

    /// The target of the request that arrives.
    func takeTarget() throws(HTTPRejection) -> RequestTarget {
        try exchange(&target, with: .failure(.malformedRequest)).get()
    }

    /// The request is complete, and waits for its response without a deadline. `isStopping` is called in the same step,
    /// so that a server that stops, which first says so and then asks each client for its request, finds the request if
    /// it is not refused here.
    ///
    /// - Returns: False if the server is stopping: a connection suspended from then on would never be resumed.
    func begin(_ request: any RequestInProgress, unless isStopping: () -> Bool) -> Bool {
        state.withLock { state in
            state.clearDeadline()
            guard !isStopping() else { return false }
            state.request = request
            return true
        }
    }

    /// The response was sent, or could not be.
    func end() { state.withLock { $0.request = nil } }

    var request: (any RequestInProgress)? { state.withLock { $0.request } }

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
            state.since = now
            state.deadline = now + Int64(seconds) * Self.second
            state.crowdedDeadline = now + Int64(crowdedSeconds ?? seconds) * Self.second
        }
    }

    private static let second: Int64 = 1_000_000_000

    /// Whether a request on this connection was authenticated; at once for root and the daemon's own user.
    var isAuthenticated: Bool { state.withLock { $0.isAuthenticated } }

    /// A request on this connection was authenticated.
    func authenticate() { if !isAuthenticated { onAuthentication(self) } }

    /// Called by `ClientConnections`, which counts them.
    func markAuthenticated() { state.withLock { $0.isAuthenticated = true } }

    /// Since when the client has been silent, if its connection may make way for another one: it has no request in
    /// progress, or it has not authenticated and its next step is awaited. `nil` if the connection must stay.
    var silentSince: Int64? {
        state.withLock { state in
            guard state.deadline < .max else { return nil }
            switch state.stage {
            case .slowHeaders, .idle: return state.since
            case .slowBody, .slowReader, .displaced: return state.isAuthenticated ? nil : state.since
            }
        }
    }

    /// Whether the client missed a deadline and was cut off.
    var wasOverdue: Bool { state.withLock { $0.wasOverdue } }

    func clearDeadline() { state.withLock { $0.clearDeadline() } }

    /// Whether the deadline was missed. `isCrowded` says whether the shorter one applies to an authenticated client, or
    /// to another.
    func isOverdue(isCrowded: (_ isAuthenticated: Bool) -> Bool) -> Bool {
        let time = state.withLock { isCrowded($0.isAuthenticated) ? $0.crowdedDeadline : $0.deadline }
        return time < Self.now()
    }

    /// Shuts the connection down.
    ///
    /// - Parameters:
    ///   - reason: The reason; `nil` for the stage whose deadline was missed.
    ///   - report: Called with the reason, before the client can notice.
    func cutOff(_ reason: HTTPCutOff? = nil, _ report: (HTTPCutOff) -> Void) {
        let stage = state.withLock { state in
            state.wasOverdue = true
            return state.stage
        }
        report(reason ?? stage)
        clearDeadline()
        shutdown(socket, ShutdownMode.both)
    }

    private static func now() -> Int64 {
        var time = timespec()
        // SAFETY: the call writes the local.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * second + Int64(time.tv_nsec)
    }
}
