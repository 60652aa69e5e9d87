internal import CMicroHTTPD
internal import Synchronization
public import TapSystem

/// One request and its answer. Until the answer is given the connection is parked, and costs no thread.
@safe public final class HTTPExchange: @unchecked Sendable {
    // Unchecked: `incoming` is touched by the connection's own thread alone, since the library calls for one connection
    // from one thread; all else is constant or in a mutex.

    private enum State {
        /// The handler runs, or the body arrives.
        case open
        /// The library has put the connection aside.
        case parked
        case answered(Answer)
        case streaming(HTTPStream)
        case finished
    }

    enum Answer {
        case response(HTTPResponse)
        case upgrade(HTTPUpgrade)
    }

    /// The body while it arrives, and what was decided about it.
    struct Incoming {
        var request: HTTPRequest?
        var rejection: HTTPRejection?
        /// Of the body, as they count against the limit of all bodies together.
        var countedBytes = 0
        var discardedBytes = 0
        var isHandled = false
        /// Where the request ended may be seen differently by others, so nothing follows it.
        var closes = false
        /// What is being answered, if it is that.
        var upgrade: HTTPUpgrade?
    }

    private let state = Mutex(State.open)
    var incoming = Incoming()
    // SAFETY: valid until the library reports the request completed, and `finish` comes before that.
    private let connection: OpaquePointer
    private let server: HTTPServer
    let client: ClientConnection

    init(_ connection: OpaquePointer, server: HTTPServer, client: ClientConnection) {
        unsafe self.connection = connection
        self.server = server
        self.client = client
    }

    public var origin: HTTPOrigin { client.origin }

    /// The process on the other side; nothing but for a Unix socket.
    public var peer: PeerCredentials? {
        if case .local(let peer) = origin { peer } else { nil }
    }

    /// Answers; only the first answer counts.
    public func respond(_ response: HTTPResponse) {
        if !answer(.response(response)) { response.stream?.finish() }
    }

    /// Answers 101 and leaves HTTP (RFC 9110, section 7.8): the connection is then whoever's takes it.
    ///
    /// - Parameters:
    ///   - response: Its status is taken for 101; it has no body.
    ///   - taker: Called once with the connected socket, or with nothing when the client
    ///     went before it could be told.
    public func upgrade(_ response: HTTPResponse, taker: @escaping @Sendable (OwnedDescriptor?) -> Void) {
        let upgrade = HTTPUpgrade(headers: response.headers, taker: taker)
        if !answer(.upgrade(upgrade)) { upgrade.take(nil) }
    }

    /// - Returns: False when nobody waits for an answer any more.
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

    /// The answer if there is one by now; else the connection is parked.
    func takeOrPark() -> Answer? {
        state.withLock { state in
            switch state {
            case .answered(let answer):
                state = .finished
                switch answer {
                case .response(let response): if let stream = response.stream { state = .streaming(stream) }
                case .upgrade(let upgrade): self.incoming.upgrade = upgrade
                }
                return answer
            case .open:
                state = .parked
                unsafe MHD_suspend_connection(connection)
                return nil
            case .parked, .streaming, .finished: return nil
            }
        }
    }

    /// The connection is gone; an answer that still comes goes nowhere.
    func finish() {
        let last = state.withLock { state in
            defer { state = .finished }
            return state
        }
        switch last {
        case .answered(.upgrade(let upgrade)): upgrade.take(nil)
        case .answered(.response(let response)): response.stream?.finish()
        case .streaming(let stream): stream.finish()
        case .open, .parked, .finished: break
        }
        incoming.upgrade?.take(nil)
    }

    /// Answers what is not answered yet, and ends what has no end of its own.
    func stop(_ refusal: HTTPResponse) {
        respond(refusal)
        switch state.withLock({ $0 }) {
        case .answered(.response(let response)): response.stream?.stop()
        case .streaming(let stream): stream.stop()
        case .answered, .open, .parked, .finished: break
        }
    }
}
