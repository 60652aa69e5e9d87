internal import CMicroHTTPD
internal import Synchronization

/// One request and its answer. Until the answer is given the connection is parked, and costs no thread.
@safe public final class HTTPExchange: @unchecked Sendable {
    // Unchecked: `incoming` is touched by the connection's own thread alone, since the library calls for one connection
    // from one thread; all else is constant or in a mutex.

    private enum State {
        /// The handler runs, or the body arrives.
        case open
        /// The library has put the connection aside.
        case parked
        case answered(HTTPResponse)
        case finished
    }

    /// The body while it arrives, and what was decided about it.
    struct Incoming {
        var request: HTTPRequest?
        var rejection: HTTPRejection?
        /// Of the body, as they count against the limit of all bodies together.
        var countedBytes = 0
        var discardedBytes = 0
        var isHandled = false
    }

    private let state = Mutex(State.open)
    var incoming = Incoming()
    // SAFETY: valid until the library reports the request completed, and `finish` comes before that.
    private let connection: OpaquePointer
    private let server: HTTPServer
    let client: ClientConnection?

    init(_ connection: OpaquePointer, server: HTTPServer, client: ClientConnection?) {
        unsafe self.connection = connection
        self.server = server
        self.client = client
    }

    /// Answers; only the first answer counts.
    public func respond(_ response: HTTPResponse) {
        state.withLock { state in
            switch state {
            case .open: state = .answered(response)
            case .parked:
                state = .answered(response)
                unsafe MHD_resume_connection(connection)
            case .answered, .finished: break
            }
        }
    }

    /// The answer if there is one by now; else the connection is parked.
    func takeOrPark() -> HTTPResponse? {
        state.withLock { state in
            switch state {
            case .answered(let response):
                state = .finished
                return response
            case .open:
                state = .parked
                unsafe MHD_suspend_connection(connection)
                return nil
            case .parked, .finished: return nil
            }
        }
    }

    /// The connection is gone; an answer that still comes goes nowhere.
    func finish() {
        state.withLock { $0 = .finished }
    }
}
