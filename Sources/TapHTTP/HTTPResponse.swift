/// An answer.
public struct HTTPResponse: Sendable {
    public var status: Int
    public var headers: [(name: String, value: String)]
    public var body: HTTPBody
    /// Sent instead of the body.
    public var stream: HTTPStream?

    public init(
        status: Int, headers: [(name: String, value: String)] = [], body: HTTPBody = .empty, stream: HTTPStream? = nil
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.stream = stream
    }
}

/// Bytes that many answers may share without a copy; the library reads them until the last has been sent.
@safe public final class HTTPBody: @unchecked Sendable {
    // Unchecked: the buffer is written in `init` alone, and freed when nobody refers to the object.
    public static let empty = HTTPBody([])

    let buffer: UnsafeMutableRawBufferPointer

    public init(_ bytes: some Collection<UInt8>) {
        unsafe buffer = .allocate(byteCount: bytes.count, alignment: 1)
        unsafe buffer.copyBytes(from: bytes)
    }

    public convenience init(_ text: String) {
        self.init(text.utf8)
    }

    public var bytes: [UInt8] { unsafe Array(buffer) }

    deinit {
        unsafe buffer.deallocate()
    }
}

/// Decides what to answer.
public protocol HTTPHandler: Sendable {
    /// Called on a connection's thread: answers at once, or keeps `exchange` and answers later from any thread.
    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange)

    /// Words the refusal of a request that never became one.
    ///
    /// `request` has no body, and is missing where its target cannot be decoded.
    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse
}
