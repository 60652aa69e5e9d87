internal import Glibc
public import TapSystem

/// A response, with a body or a stream.
public struct HTTPResponse: Sendable {
    /// The status code.
    public var status: Int
    /// The header fields, without those that the library adds (`Date`, `Content-Length`, `Connection`).
    public var headers: HTTPHeaders
    /// The value of `X-Request-Id`, which follows the other header fields. Not among these, since each response gets it
    /// last, and the array would have to grow.
    public var requestIdentifier: String?
    /// Sent instead of the body, unless `nil`.
    public var stream: HTTPStream?
    private let makeBody: @Sendable () -> HTTPBody

    /// - Parameters:
    ///   - status: The status code.
    ///   - headers: The header fields, without those that the library adds.
    ///   - body: Evaluated at each access to `body`; when a response is sent, on the thread of its connection.
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

    /// Rendered at each access.
    public var body: HTTPBody { makeBody() }
}

extension HTTPResponse {
    /// With `X-Request-Id`.
    var allHeaders: HTTPHeaders { requestIdentifier.map { headers + [Self.identifierField: $0] } ?? headers }

    static let identifierField = "X-Request-Id"

    /// The bytes of the whole response, with `Connection: close`.
    var closingBytes: [UInt8] {
        let body = body
        let fields = allHeaders + ["Date": Self.date(), "Content-Length": "\(body.count)", "Connection": "close"]
        let head = "HTTP/1.1 \(status) \r\n" + fields.fields.map { "\($0): \($1)\r\n" }.joined() + "\r\n"
        return Array(head.utf8) + body.bytes
    }

    /// The current time as an HTTP date (RFC 9110, section 5.6.7).
    private static func date() -> String {
        var now = time(nil)
        var parts = unsafe tm()
        var text = [CChar](repeating: 0, count: 64)
        // SAFETY: the calls write only the locals.
        _ = unsafe gmtime_r(&now, &parts)
        // The program never leaves the C locale, whose names of days and months are those of HTTP.
        let count = unsafe strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
        return String(decoding: text[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The body of a response. The library reads its bytes until the last response that uses it has been sent.
public typealias HTTPBody = SharedBytes
