internal import Glibc
public import TapSystem

/// An answer.
public struct HTTPResponse: Sendable {
    public var status: Int
    public var headers: HTTPHeaders
    /// Sent instead of the body.
    public var stream: HTTPStream?
    private let makeBody: @Sendable () -> HTTPBody

    /// - Parameters:
    ///   - status: The status code.
    ///   - headers: What is sent beside what HTTP itself asks for.
    ///   - body: Evaluated by each who asks for it: for an answer, by the thread of its connection.
    ///   - stream: Sent instead of the body.
    public init(
        status: Int, headers: HTTPHeaders = [:],
        body: @autoclosure @escaping @Sendable () -> HTTPBody = .empty, stream: HTTPStream? = nil
    ) {
        self.status = status
        self.headers = headers
        self.stream = stream
        makeBody = body
    }

    public var body: HTTPBody { makeBody() }
}

extension HTTPResponse {
    /// The whole answer, after which the connection ends.
    var closingBytes: [UInt8] {
        let body = body
        let fields = headers + ["Date": Self.date(), "Content-Length": "\(body.count)", "Connection": "close"]
        let head = "HTTP/1.1 \(status) \r\n" + fields.fields.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n"
        return Array(head.utf8) + body.bytes
    }

    /// Now, as RFC 9110, section 5.6.7, wants it.
    private static func date() -> String {
        var now = time(nil)
        var parts = unsafe tm()
        var text = [CChar](repeating: 0, count: 64)
        // SAFETY: the calls write the locals alone.
        _ = unsafe gmtime_r(&now, &parts)
        // The program never leaves the C locale, whose names of days and months are those of HTTP.
        let count = unsafe strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
        return String(decoding: text[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The body of an answer; the library reads it until the last answer that has it is sent.
public typealias HTTPBody = SharedBytes

/// Decides what to answer.
public protocol HTTPHandler: Sendable {
    /// Called on a connection's thread: answers at once, or keeps `exchange` and answers later from any thread.
    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange)

    /// Words the refusal of a request that never became one.
    ///
    /// `request` has no body, and is missing where its target cannot be decoded.
    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse

    /// Asked when the headers have come: of whom may not ask at all, no body is read and kept.
    ///
    /// - Returns: The refusal; nothing to go on.
    func rejectEarly(_ head: RequestHead, from origin: HTTPOrigin) -> HTTPResponse?

    /// Told of a connection that was cut off without an answer.
    func wasCutOff(_ reason: HTTPCutOff)
}

extension HTTPHandler {
    public func rejectEarly(_ head: RequestHead, from origin: HTTPOrigin) -> HTTPResponse? { nil }
}
