internal import Synchronization
internal import TapSystem

/// A connection's upgrade to another protocol (RFC 9110, section 7.8).
final class HTTPUpgrade: Sendable {
    typealias Taker = @Sendable (_ socket: OwnedDescriptor?) -> Void

    let headers: HTTPHeaders
    private let taker: Mutex<Taker?>

    init(headers: HTTPHeaders, taker: @escaping Taker) {
        self.headers = headers
        self.taker = Mutex(taker)
    }

    /// Calls the taker with the socket, the first time only.
    func take(_ socket: OwnedDescriptor?) {
        let taker = taker.withLock { $0.take() }
        taker?(socket)
    }
}
