internal import Synchronization
internal import TapSystem

/// The end of HTTP on a connection (RFC 9110, section 7.8).
final class HTTPUpgrade: Sendable {
    typealias Taker = @Sendable (_ socket: OwnedDescriptor?) -> Void

    let headers: HTTPHeaders
    private let taker: Mutex<Taker?>

    init(headers: HTTPHeaders, taker: @escaping Taker) {
        self.headers = headers
        self.taker = Mutex(taker)
    }

    /// Passes the socket on, the first time.
    func take(_ socket: OwnedDescriptor?) {
        let taker = taker.withLock { $0.take() }
        taker?(socket)
    }
}
