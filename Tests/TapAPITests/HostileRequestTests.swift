import Foundation
import TestSupport
import Testing

@testable import TapHTTP
@testable import TapAPI
@testable import TapEngine

/// An ambiguous or malformed request, or one that exceeds a limit, and its answer.
struct HostileRequest: Sendable, CustomTestStringConvertible {
    let name: String
    var testDescription: String { name }
    /// The bytes on the socket.
    let bytes: [UInt8]
    let status: Int
    /// The problem's code, and the reason that is counted; `nil` if the request reached a route.
    let code: String
    let reason: HTTPRejection?

    init(_ name: String, _ text: String, _ status: Int, _ code: String, _ reason: HTTPRejection?) {
        self.name = name
        bytes = Array(text.utf8)
        self.status = status
        self.code = code
        self.reason = reason
    }

    /// A GET with these header fields.
    private static func get(_ target: String, _ fields: String = "Host: x\r\n") -> String {
        "GET \(target) HTTP/1.1\r\n\(fields)\r\n"
    }

    private static func malformed(_ name: String, _ text: String) -> HostileRequest {
        HostileRequest(name, text, 400, "MALFORMED_REQUEST", .malformedRequest)
    }

    private static func ambiguous(_ name: String, _ text: String) -> HostileRequest {
        HostileRequest(name, text, 400, "AMBIGUOUS_REQUEST", .ambiguousRequest)
    }

    private static func target(_ name: String, _ target: String) -> HostileRequest {
        HostileRequest(name, get(target), 400, "MALFORMED_TARGET", .malformedTarget)
    }

    private static let long = String(repeating: "a", count: 40_000)

    static let framing = [
        ambiguous(
            "Transfer-Encoding and Content-Length",
            get("/livez", "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"),
        ambiguous("two lengths", get("/livez", "Host: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n")),
        ambiguous("two equal lengths", get("/livez", "Host: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n")),
        ambiguous(
            "chunked twice", get("/livez", "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        ambiguous(
            "HTTP/1.0 with chunks",
            "POST /v1/devices HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ambiguous("no host", get("/livez", "")),
        ambiguous(
            "two media types",
            get("/livez", "Host: x\r\nContent-Type: text/plain\r\nContent-Type: application/json\r\n")),
        ambiguous("two keys", get("/livez", "Host: x\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n")),
        ambiguous("two hosts", get("/livez", "Host: a\r\nHost: b\r\n")),
        ambiguous("an absolute target of another host", get("http://other/livez")),
        HostileRequest(
            "Transfer-Encoding: gzip", get("/livez", "Host: x\r\nTransfer-Encoding: gzip\r\n"), 501,
            "UNKNOWN_TRANSFER_CODING", .unknownTransferCoding),
        HostileRequest(
            "Transfer-Encoding: identity and Content-Length",
            get("/livez", "Host: x\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n"), 501,
            "UNKNOWN_TRANSFER_CODING", .unknownTransferCoding),
        HostileRequest(
            "Transfer-Encoding: identity, and chunked",
            get("/livez", "Host: x\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), 501,
            "UNKNOWN_TRANSFER_CODING", .unknownTransferCoding),
        HostileRequest(
            "HTTP/1.0 with Transfer-Encoding: gzip",
            "GET /livez HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501,
            "UNKNOWN_TRANSFER_CODING", .unknownTransferCoding),
        HostileRequest(
            "Transfer-Encoding: gzip and two hosts",
            get("/livez", "Host: x\r\nHost: x\r\nTransfer-Encoding: gzip\r\n"), 501,
            "UNKNOWN_TRANSFER_CODING", .unknownTransferCoding),
        HostileRequest(
            "Transfer-Encoding: gzip, chunked", get("/livez", "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n"), 501,
            "UNKNOWN_TRANSFER_CODING", .unknownTransferCoding),
        HostileRequest(
            "Transfer-Encoding: xchunked", get("/livez", "Host: x\r\nTransfer-Encoding: xchunked\r\n"), 501,
            "UNKNOWN_TRANSFER_CODING", .unknownTransferCoding),
        HostileRequest(
            "a length of a terabyte", get("/livez", "Host: x\r\nContent-Length: 1099511627776\r\n"), 413,
            "BODY_TOO_LARGE", .bodyTooLarge),
        malformed("a chunk size that is none", chunked("xyz\r\n")),
        malformed("a negative chunk size", chunked("-1\r\n")),
        malformed("a chunk size with a space", chunked("5 \r\nhello\r\n0\r\n\r\n")),
        malformed("a chunk that is longer than its size", chunked("3\r\nhello\r\n0\r\n\r\n")),
        HostileRequest(
            "a chunk size beyond 64 bits", chunked("fffffffffffffffff\r\n"), 413, "BODY_TOO_LARGE", .bodyTooLarge),
        HostileRequest(
            "a chunk's extension without end", chunked("1;" + long), 500, "UNREADABLE_BODY", .unreadableBody),
    ]

    static let lines = [
        malformed("a lone LF after the request line", "GET /livez HTTP/1.1\nHost: x\r\n\r\n"),
        malformed("a lone LF after a field", "GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
        malformed("a lone LF for the empty line", "GET /livez HTTP/1.1\r\nHost: x\r\n\n"),
        malformed("lone LFs alone", "GET /livez HTTP/1.1\nHost: x\n\n"),
        malformed("a lone CR in a value", get("/livez", "Host: x\r\nX: a\rb\r\n")),
        malformed("a folded field", get("/livez", "Host: x\r\nX: a\r\n b\r\n")),
        malformed("a folded first field", get("/livez", " Host: x\r\n")),
        malformed("a space before the colon", get("/livez", "Host : x\r\n")),
        malformed("a tab before the colon", get("/livez", "Host\t: x\r\n")),
        malformed("a field without a colon", get("/livez", "Host: x\r\nrubbish\r\n")),
        malformed("a field without a name", get("/livez", "Host: x\r\n: y\r\n")),
        malformed("a NUL in a value", get("/livez", "Host: x\r\nX: a\0b\r\n")),
        malformed("a NUL in a name", get("/livez", "Host: x\r\nX\0Y: a\r\n")),
        malformed("a control character in a value", get("/livez", "Host: x\r\nX: a\u{1}b\r\n")),
        malformed("a NUL in the path", get("/livez\0/x")),
        malformed("a NUL in the query", get("/livez?verbose\0&x=y")),
        malformed("a space in the target", get("/livez /x")),
        malformed("a space in the query", get("/livez?x=y z")),
        malformed("three spaces before the version", "GET /livez   HTTP/1.1\r\nHost: x\r\n\r\n"),
        malformed("two spaces before the target", "GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n"),
        malformed("a method that is not a token", "G(T /livez HTTP/1.1\r\nHost: x\r\n\r\n"),
        malformed("HTTP/0.9", "GET /livez\r\n\r\n"),
        malformed("a version that is none", "GET /livez HTTP/1.1x\r\nHost: x\r\n\r\n"),
        malformed("a lower-case version", "GET /livez http/1.1\r\nHost: x\r\n\r\n"),
        HostileRequest(
            "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "UNKNOWN_HTTP_VERSION", .unknownVersion),
        HostileRequest(
            "a request for HTTP/3", "GET /livez HTTP/3.0\r\nHost: x\r\n\r\n", 505, "UNKNOWN_HTTP_VERSION",
            .unknownVersion),
    ]

    static let targets = [
        target("an encoded slash", "/v1/devices%2fweb0"),
        target("an encoded slash in capitals", "/v1/devices%2Fweb0"),
        target("dot segments", "/v1/../livez"),
        target("a dot segment", "/./livez"),
        target("encoded dot segments", "/v1/%2e%2e/livez"),
        target("half encoded dot segments", "/v1/.%2E/livez"),
        target("an encoded NUL", "/livez%00"),
        target("an encoded line end", "/livez%0d%0aX:%20y"),
        target("half a percent sign", "/livez%2"),
        target("a percent sign with letters", "/livez%zz"),
        target("overlong UTF-8", "/%c0%af"),
        target("a fragment", "/livez#x"),
        target("no path", "livez"),
        HostileRequest("an asterisk", get("*"), 404, "ROUTE_NOT_FOUND", nil),
        target("an authority", "livez:80"),
        target("an absolute target of another scheme", "ftp://x/livez"),
        target("many parameters", "/livez?" + (0..<33).map { "p\($0)=1" }.joined(separator: "&")),
        HostileRequest(
            "a lower-case method", "get /livez HTTP/1.1\r\nHost: x\r\n\r\n", 405, "METHOD_NOT_ALLOWED", nil),
        HostileRequest(
            "an unknown method", "BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n", 405, "METHOD_NOT_ALLOWED", nil),
        HostileRequest("a double encoded slash", get("/v1/devices/a%252fb"), 404, "DEVICE_NOT_FOUND", nil),
    ]

    static let sizes = [
        HostileRequest("a long target", get("/" + long), 414, "TARGET_TOO_LONG", .targetTooLong),
        HostileRequest("a request line without end", long + long, 414, "TARGET_TOO_LONG", .targetTooLong),
        HostileRequest(
            "a long field", get("/livez", "Host: x\r\nX: \(long)\r\n"), 431, "HEADERS_TOO_LARGE", .headersTooLarge),
        HostileRequest(
            "a field without end", "GET /livez HTTP/1.1\r\nHost: x\r\nX: \(long)", 431, "HEADERS_TOO_LARGE",
            .headersTooLarge),
        HostileRequest(
            "65 fields", get("/livez", "Host: x\r\n" + String(repeating: "X: y\r\n", count: 64)), 431,
            "TOO_MANY_HEADERS", .tooManyHeaders),
        HostileRequest(
            "many fields", get("/livez", "Host: x\r\n" + String(repeating: "X: y\r\n", count: 4_000)), 431,
            "HEADERS_TOO_LARGE", .headersTooLarge),
        HostileRequest(
            "a body for a route without one", "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 413,
            "BODY_TOO_LARGE", .bodyTooLarge),
    ]

    private static func chunked(_ body: String) -> String {
        "POST /v1/devices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    }
}

/// Each request gets one refusal, which is counted, and the next client is served.
@Suite struct HostileRequestTests {
    private static func withHealthyWorld(_ body: @escaping @Sendable (World) throws -> Void) async throws {
        try await withWorld { world in
            try body(world)
            let answer = try world.send("GET", "/livez")
            #expect(answer.status == 200)
        }
    }

    @Test(arguments: [HostileRequest.framing, HostileRequest.lines, HostileRequest.targets, HostileRequest.sizes])
    func eachIsRefusedAndCounted(requests: [HostileRequest]) async throws {
        try await Self.withHealthyWorld { world in
            var expected: [HTTPRejection: Double] = [:]
            for request in requests {
                let client = try HTTPClient(socket: world.socket)
                // The server may answer and close before it has read everything.
                try? client.write(String(decoding: request.bytes, as: UTF8.self))
                guard let answer = try? client.readAnswer() else {
                    Issue.record("no answer: \(request.name)")
                    continue
                }
                #expect(answer.status == request.status, "\(request.name): \(answer.headers) \(answer.text)")
                #expect(answer.headers["content-type"] == "application/problem+json", "\(request.name)")
                #expect(answer["code"] as? String == request.code, "\(request.name): \(answer.headers) \(answer.text)")
                #expect(answer["status"] as? Int == request.status, "\(request.name)")
                #expect(answer.headers["x-request-id"] == answer["requestId"] as? String, "\(request.name)")
                guard let reason = request.reason else { continue }
                expected[reason, default: 0] += 1
                #expect(answer.headers["connection"]?.lowercased() == "close", "\(request.name)")
                #expect(client.isClosed(), "\(request.name)")
            }
            for (reason, count) in expected {
                // Scrapes in quick succession share one text.
                try eventually("\(reason) is counted") {
                    try world.metric("tapster_http_rejected_total", "reason=\"\(reason.rawValue)\"") == count
                }
            }
        }
    }

    /// The body is read completely, so that the client gets the answer and may reuse the connection.
    @Test(arguments: ["Content-Length: 200000", "Transfer-Encoding: chunked"])
    func aLongerBodyThanADeviceNeedsIsRefused(framing: String) async throws {
        try await Self.withHealthyWorld { world in
            let client = try HTTPClient(socket: world.socket)
            let isChunked = framing.hasSuffix("chunked")
            let body = String(repeating: " ", count: 200_000)
            // The connection is closed after a chunked body.
            for count in 1...(isChunked ? 1 : 2) {
                try client.write(
                    "POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\(framing)\r\n\r\n"
                        + (isChunked ? "30d40\r\n\(body)\r\n0\r\n\r\n" : body))
                let answer = try client.readAnswer()
                #expect(answer.status == 413)
                #expect(answer["code"] as? String == "BODY_TOO_LARGE")
                #expect(answer["detail"] as? String == "at most 131072 bytes are allowed")
                try eventually("it is counted") {
                    try world.metric("tapster_http_rejected_total", "reason=\"bodyTooLarge\"") == Double(count)
                }
            }
        }
    }

    /// Bytes after a request with an ambiguous end are not read as another request.
    @Test(arguments: [
        "POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/devices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\"\n\"\r\nx\r\n0\r\n\r\n",
        "POST /v1/devices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n",
    ])
    func nothingIsSmuggled(first: String) async throws {
        try await Self.withHealthyWorld { world in
            let client = try HTTPClient(socket: world.socket)
            try? client.write(first + "DELETE /v1/devices/smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try client.readAnswer().status >= 400)
            #expect(client.isClosed())
            let deletes = try world.metric("tapster_http_requests_total", "method=\"DELETE\"")
            #expect(deletes == 0)
        }
    }

    /// Without a space in the request line, the HTTP library closes the connection without a call of our code.
    @Test(arguments: ["GET\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n"])
    func aRequestLineWithoutASpaceClosesTheConnection(text: String) async throws {
        try await Self.withHealthyWorld { world in
            let client = try HTTPClient(socket: world.socket)
            try? client.write(text)
            #expect(client.isClosed())
        }
    }

    /// Rejected by the library; libmicrohttpd 0.9.75 would send the headers of its answer twice.
    @Test(arguments: [
        ("-1", 400), ("+5", 400), ("0x5", 400), ("5, 5", 400), ("", 400), ("5x", 400),
        ("99999999999999999999999", 413),
    ])
    func aBadLengthIsRefusedOnceAndCounted(length: String, status: Int) async throws {
        try await Self.withHealthyWorld { world in
            let client = try HTTPClient(socket: world.socket)
            try client.write("POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: \(length)\r\n\r\n")
            let answer = try client.readAnswer()
            #expect(answer.status == status)
            #expect(answer["code"] as? String == (status == 413 ? "BODY_TOO_LARGE" : "MALFORMED_REQUEST"))
            #expect(client.isClosed())
            try eventually("it is counted") { try world.metric("tapster_http_rejected_total", "reason=") == 1 }
        }
    }

    /// Versions of the library treat these differently; some close the connection without an answer.
    @Test(arguments: [
        "GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET /li\u{B}vez HTTP/1.1\r\nHost: x\r\n\r\n",
        "BREW /livez\r\n\r\n", "GET /livez\0 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /li\rvez HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
    func whatTheLibraryRejectsIsAnsweredOnce(text: String) async throws {
        try await Self.withHealthyWorld { world in
            let client = try HTTPClient(socket: world.socket)
            try client.write(text)
            let answer = try client.readAnswer()
            #expect([400, 501].contains(answer.status))
            #expect(answer["status"] as? Int == answer.status)
            #expect(answer.headers["date"]?.hasSuffix(" GMT") == true)
            #expect(client.isClosed())
        }
    }

    @Test func anAbsoluteTargetOfOurHostIsServed() async throws {
        try await Self.withHealthyWorld { world in
            let client = try HTTPClient(socket: world.socket)
            let answer = try client.send("GET", "http://LOCALHOST/livez?verbose=true")
            #expect(answer.status == 200, "\(answer.text)")
            // The connection stays open.
            #expect(try client.send("GET", "/livez").status == 200)
        }
    }

    /// libmicrohttpd 1.0 counts the line end of a chunk with an extension as the chunk's first byte, at every level of
    /// strictness, so that the chunk's end is malformed.
    @Test(arguments: ["", ";a=b"])
    func chunksAreServed(extension: String) async throws {
        try await Self.withHealthyWorld { world in
            let client = try HTTPClient(socket: world.socket)
            try client.write(
                "PUT /v1/devices/web0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    + "Transfer-Encoding: Chunked\r\n\r\n1\(`extension`)\r\n{\r\n1\r\n}\r\n0\r\nX: trailer\r\n\r\n")
            let answer = try client.readAnswer()
            let isRefused = !`extension`.isEmpty && !HTTPLibrary.version.hasPrefix("0.")
            #expect(answer.status == (isRefused ? 400 : 201), "\(answer.text)")
            #expect(client.isClosed())
        }
    }
}
