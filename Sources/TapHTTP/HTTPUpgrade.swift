internal import Glibc
internal import Synchronization

/// The end of HTTP on a connection (RFC 9110, section 7.8).
final class HTTPUpgrade: Sendable {
    typealias Taker = @Sendable (_ socket: HTTPUpgradedSocket?) -> Void

    let headers: [(name: String, value: String)]
    private let taker: Mutex<Taker?>

    init(headers: [(name: String, value: String)], taker: @escaping Taker) {
        self.headers = headers
        self.taker = Mutex(taker)
    }

    /// Passes the socket on, the first time.
    func take(_ socket: HTTPUpgradedSocket?) {
        let taker = taker.withLock { $0.take() }
        taker?(socket)
    }
}

/// A connection that has left HTTP. It closes with its last owner, unless somebody takes it.
public final class HTTPUpgradedSocket: Sendable {
    private static let none: Int32 = -1
    private let number: Atomic<Int32>

    init(_ number: Int32) {
        self.number = Atomic(number)
    }

    /// Once: whoever takes the descriptor closes it.
    public func take() -> Int32 { number.exchange(Self.none, ordering: .relaxed) }

    deinit {
        let number = take()
        if number != Self.none { close(number) }
    }
}
