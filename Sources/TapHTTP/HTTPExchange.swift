internal import CMicroHTTPD
internal import Synchronization
public import TapSystem

/// One request and its response. Until the response is given the connection is suspended and needs no thread.
@safe public final class HTTPExchange: RequestInProgress, @unchecked Sendable {
    // Unchecked: only the connection's own thread accesses `incoming`, since the library calls for one connection from
    // one thread; all else is constant or in a mutex.

    private enum State {
        /// The body arrives, or the handler runs.
        case open
        /// The library has suspended the connection.
        case parked
        case answered(Answer)
        case streaming(HTTPStream)
        case finished
    }

    enum Answer {
        case response(HTTPResponse)
        case upgrade(HTTPUpgrade)
    }

    /// The request while it arrives, and decisions about it.
    struct Incoming {
        var request: HTTPRequest?
        var rejection: HTTPRejection?
        /// The bytes of this body that count against the limit of all bodies together.
        var countedBytes = 0
        var discardedBytes = 0
        var isHandled = false
        /// Whether the connection ends after this request, since other parsers may find its end elsewhere.
        var closes = false
        /// The upgrade, if that is the answer.
        var upgrade: HTTPUpgrade?
    }

    private let state = Mutex(State.open)
    var incoming: Incoming
    // SAFETY: valid until the library reports the request completed; `finish` is called before that.
    private let connection: OpaquePointer
    let client: ClientConnection

    init(_ connection: OpaquePointer, client: ClientConnection, _ incoming: consuming Incoming) {
        unsafe self.connection = connection
        self.client = client
        self.incoming = incoming
    }

    /// The client that sent the request.
    public var origin: HTTPOrigin { client.origin }

    /// The credentials of the client's process; `nil` if the connection is not a Unix socket.
    public var peer: PeerCredentials? {
        if case .local(let peer) = origin { peer } else { nil }
    }

    /// Records that the client has authenticated: a connection on which that has never happened makes way when others
    /// need its place.
    public func markAuthenticated() { client.authenticate() }

    /// Answers; only the first answer counts.
    public func respond(_ response: HTTPResponse) {
        if !answer(.response(response)) { response.stream?.finish() }
    }

    /// Answers 101 and leaves HTTP (RFC 9110, section 7.8): `taker` then owns the connection.
    ///
    /// - Parameters:
    ///   - response: Its headers are sent; its status and its body are ignored.
    ///   - taker: Called once, with the connected socket, or with `nil` if the client disconnected before it got the
    ///     response.
    public func upgrade(_ response: HTTPResponse, taker: @escaping @Sendable (OwnedDescriptor?) -> Void) {
        let upgrade = HTTPUpgrade(headers: response.allHeaders, taker: taker)
        if !answer(.upgrade(upgrade)) { upgrade.take(nil) }
    }

    /// - Returns: False if the request has been answered or its connection is gone.
    private func answer(_ answer: Answer) -> Bool {
        state.withLock { state in
            switch state {
            case .open: state = .answered(answer)
            case .parked:
                state = .answered(answer)
                unsafe MHD_resume_connection(connection)
            case .answered, .streaming, .finished: return false
            }
            return true
        }
    }

    /// Returns the answer if there is one; otherwise suspends the connection.
    func takeOrSuspend() -> Answer? {
        state.withLock { state in
            switch exchange(&state, with: .finished) {
            case .answered(let answer):
                switch answer {
                case .response(let response): if let stream = response.stream { state = .streaming(stream) }
                case .upgrade(let upgrade): self.incoming.upgrade = upgrade
                }
                return answer
            case .open:
                state = .parked
                unsafe MHD_suspend_connection(connection)
                return nil
            case let last:
                state = last
                return nil
            }
        }
    }

    /// Called when the request is complete or its connection is gone; a later answer is ignored.
    func finish() {
        switch state.withLock({ exchange(&$0, with: .finished) }) {
        case .answered(.upgrade(let upgrade)): upgrade.take(nil)
        case .answered(.response(let response)): response.stream?.finish()
        case .streaming(let stream): stream.finish()
        case .open, .parked, .finished: break
        }
        incoming.upgrade?.take(nil)
    }

    func stop(_ refusal: HTTPResponse) {
        respond(refusal)
        switch state.withLock({ $0 }) {
        case .answered(.response(let response)): response.stream?.stop()
        case .streaming(let stream): stream.stop()
        case .answered, .open, .parked, .finished: break
        }
    }
}
