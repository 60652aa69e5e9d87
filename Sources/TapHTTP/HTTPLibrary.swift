internal import CMicroHTTPD
internal import Glibc
internal import TapSystem

/// The libmicrohttpd that this process has loaded. Its version may differ from the one at build time: all versions have
/// one soname.
public enum HTTPLibrary {
    /// For example `0.9.75`.
    public static var version: String { unsafe String(cString: MHD_get_version()) }

    private static let answerSecondsMax = 10
    private static let answerBytesMax = 4_096

    /// A request with all parts that the server reads, and the expected result.
    private static let request =
        "PUT /v1/a%20b/c?x=1&y=%C3%A9 HTTP/1.1\r\nHost: localhost\r\nX-A:  two  \r\nx-a:\tthree\r\nX-Empty:\r\n"
        + "Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    private static let reading = #"PUT /v1/a%20b/c ["v1", "a b", "c"] x=1 y=é localhost two,three "" {}"#

    /// Requests that two parsers could interpret differently; each must be rejected.
    private static let ambiguous = [
        ("a lone LF after the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n"),
        ("a lone LF after a header field", "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
        ("a folded header field", "GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n z\r\n\r\n"),
        ("a blank before a colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
        ("a NUL in a value", "GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n"),
        ("two lengths", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    ]

    /// Checks that the library parses requests as expected, by sending some through socket pairs. It takes some
    /// milliseconds.
    ///
    /// - Throws: `HTTPServerError` if a request is parsed differently: this version of the library is not supported.
    public static func check() throws(HTTPServerError) {
        let server = HTTPServer(listener: HTTPListener(), handler: CheckHandler())
        do throws(HTTPServerError) { try server.start() } catch { throw unusable("does not start: \(error)") }
        defer { server.stop() }
        let found = try answer(to: request, by: server)
        guard found.hasSuffix(reading) else { throw mismatch("a request", found) }
        for (name, text) in ambiguous {
            let found = try answer(to: text, by: server)
            guard found.hasSuffix(CheckHandler.rejected) else { throw mismatch(name, found) }
        }
    }

    private static func mismatch(_ name: String, _ found: String) -> HTTPServerError {
        unusable(
            "parses \(name) differently from the supported versions; it answered \(found.debugDescription)")
    }

    private static func unusable(_ why: String) -> HTTPServerError {
        HTTPServerError(description: "libmicrohttpd \(version) \(why). Install libmicrohttpd 0.9.75 to 1.0")
    }

    /// - Returns: All that the server sends until it closes the connection; empty if it sends no byte.
    private static func answer(to text: String, by server: HTTPServer) throws(HTTPServerError) -> String {
        guard let (client, connection) = try? Socket.pair(.stream) else {
            throw HTTPServerError(description: "libmicrohttpd cannot be checked: too many files are open")
        }
        guard server.add(connected: connection) else { throw unusable("does not accept a connection") }
        var answer: [UInt8] = []
        let bytes = Array(text.utf8)
        do throws(Errno) {
            try Socket.set(SO_RCVTIMEO, timeval(tv_sec: answerSecondsMax, tv_usec: 0), on: client.number)
            // SAFETY: the kernel reads one array and writes the other, each during its call.
            try systemCall { unsafe send(client.number, bytes, bytes.count, MessageFlag.noSignal) }
            var part = [UInt8](repeating: 0, count: answerBytesMax)
            while answer.count < answerBytesMax {
                let count = try systemCall { unsafe recv(client.number, &part, part.count, 0) }
                guard count > 0 else { break }
                answer += part[..<count]
            }
        } catch {
            // The connection was closed or timed out: check the bytes received so far.
        }
        return String(decoding: answer, as: UTF8.self)
    }
}

/// Answers with the parts of the request as the server parsed them.
private struct CheckHandler: HTTPHandler {
    static let rejected = "rejected"

    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        let head = request.head
        let query = head.query.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        let text =
            "\(head.method) \(head.path) \(head.segments) \(query) \(head.header("host") ?? "nil") "
            + "\(head.list("x-a") ?? "nil") \((head.header("x-empty") ?? "nil").debugDescription) "
            + String(decoding: request.body, as: UTF8.self)
        exchange.respond(HTTPResponse(status: 200, body: HTTPBody(text)))
    }

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        HTTPResponse(status: 400, body: HTTPBody(Self.rejected))
    }

    func wasCutOff(_ reason: HTTPCutOff) {}
}
