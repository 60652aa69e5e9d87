import TapSystem
import Foundation
import Synchronization
import TapHTTP
import TestSupport
import Testing

/// Echoes bodies, keeps the exchanges of `/park` unanswered, and answers rejections with their raw value.
private final class Handler: HTTPHandler {
    let parked = Mutex<[HTTPExchange]>([])
    let cutOff = Mutex<[HTTPCutOff]>([])

    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        switch request.head.segments.first {
        case "park": parked.withLock { $0.append(exchange) }
        case "segments": exchange.respond(text(request.head.segments.joined(separator: "|")))
        case "query":
            exchange.respond(
                text(request.head.query.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: "&")))
        case "later":
            DispatchQueue.global().asyncAfter(deadline: .now() + 0.02) { exchange.respond(self.text("late")) }
        default: exchange.respond(HTTPResponse(status: 200, body: HTTPBody(request.body)))
        }
    }

    func wasCutOff(_ reason: HTTPCutOff) { cutOff.withLock { $0.append(reason) } }

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        HTTPResponse(status: rejection == .stopping ? 503 : 400, body: HTTPBody(rejection.rawValue))
    }

    private func text(_ text: String) -> HTTPResponse { HTTPResponse(status: 200, body: HTTPBody(text)) }
}

@Suite struct HTTPServerTests {
    private func withServer(
        _ limits: HTTPLimits = HTTPLimits(),
        _ body: @escaping @Sendable (_ socket: String, _ server: HTTPServer, _ handler: Handler) throws -> Void
    ) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let handler = Handler()
                let listener = try HTTPListener(unix: directory + "/s", group: nil)
                let server = HTTPServer(listener: listener, limits: limits, handler: handler)
                try server.start()
                defer { server.stop() }
                try body(directory + "/s", server, handler)
            }
        }
    }

    @Test func bodiesComeWhole() async throws {
        try await withServer { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            let text = String(repeating: "0123456789abcdef", count: 40_000)
            #expect(try client.send("POST", "/", body: text).text == text)
            #expect(try client.send("POST", "/", body: "again").text == "again")
        }
    }

    @Test func segmentsAreDecodedOneByOne() async throws {
        try await withServer { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            #expect(try client.send("GET", "/segments/a%20b/%c3%a9").text == "segments|a b|é")
            #expect(try client.send("GET", "/query?a=1%262&b=x+y&a=3").text == "a=3&b=x y")
        }
    }

    @Test(arguments: ["/a%2", "/a%zz", "/a%00", "/a%2fb", "/%ff", "/%0a", "/?q=%ff"])
    func targetsThatCannotBeDecodedAreRefused(target: String) async throws {
        try await withServer { socket, _, _ in
            let answer = try HTTPClient(socket: socket).send("GET", target)
            #expect(answer.status == 400)
            #expect(answer.text == "malformedTarget")
        }
    }

    @Test func anAnswerMayComeLater() async throws {
        try await withServer { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            for _ in 0..<20 { #expect(try client.send("GET", "/later").text == "late") }
        }
    }

    @Test func aBodyDeclaredTooLargeIsRefusedBeforeItIsSent() async throws {
        var limits = HTTPLimits()
        limits.bodyBytesMax = 1_000
        try await withServer(limits) { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            try client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n")
            #expect(try client.readAnswer().text == "bodyTooLarge")
        }
    }

    @Test func aBodyThatBecomesTooLargeIsRefused() async throws {
        var limits = HTTPLimits()
        limits.bodyBytesMax = 1_000
        try await withServer(limits) { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            try client.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<20 { try client.write("100\r\n" + String(repeating: "x", count: 256) + "\r\n") }
            try client.write("0\r\n\r\n")
            #expect(try client.readAnswer().text == "bodyTooLarge")
        }
    }

    @Test func bodiesTogetherHaveALimitToo() async throws {
        var limits = HTTPLimits()
        limits.bodiesBytesMax = 1_000
        try await withServer(limits) { socket, _, _ in
            let half =
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 800\r\n\r\n"
                + String(repeating: "x", count: 700)
            let first = try HTTPClient(socket: socket)
            try first.write(half)
            // The second body is refused while the first is held, so the first must have been read before.
            try eventually("the first is read") { first.unreadBytes == 0 }
            _ = try HTTPClient(socket: socket).send("GET", "/")
            try eventually("the bodies are too many") {
                let answer = try HTTPClient(socket: socket).send("POST", "/", body: String(repeating: "y", count: 800))
                return answer.text == "tooManyBodies"
            }
            try first.write(String(repeating: "x", count: 100))
            #expect(try first.readAnswer().status == 200)
            #expect(
                try HTTPClient(socket: socket).send("POST", "/", body: String(repeating: "y", count: 800)).status
                    == 200)
        }
    }

    @Test func aBodyWithoutEndIsCutOff() async throws {
        var limits = HTTPLimits()
        limits.bodyBytesMax = 1_000
        limits.refusedBodyBytesMax = 100_000
        try await withServer(limits) { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            try client.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(throws: TestFailure.self) {
                for _ in 0..<100_000 { try client.write("100\r\n" + String(repeating: "x", count: 256) + "\r\n") }
            }
        }
    }

    @Test(arguments: [
        "Host: a\r\nHost: b\r\n", "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ])
    func ambiguousRequestsAreRefused(headers: String) async throws {
        try await withServer { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            try client.write("POST / HTTP/1.1\r\n\(headers)\r\nx")
            #expect(try client.readAnswer().status == 400)
        }
    }

    @Test func tooManyHeadersAreRefused() async throws {
        try await withServer { socket, _, _ in
            let client = try HTTPClient(socket: socket)
            let headers = (0..<100).map { "x-\($0): 1\r\n" }.joined()
            try client.write("GET / HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
            #expect(try client.readAnswer().text == "tooManyHeaders")
        }
    }

    /// A byte now and then does not keep a connection alive.
    @Test func aClientThatDripsIsCutOff() async throws {
        var limits = HTTPLimits()
        limits.headerSecondsMax = 2
        try await withServer(limits) { socket, server, handler in
            let client = try HTTPClient(socket: socket)
            try client.write("GET / HTTP/1.1\r\nHost: x\r\nx-drip: ")
            #expect(throws: TestFailure.self) {
                for _ in 0..<200 {
                    try client.write("a")
                    usleep(100_000)
                }
            }
            #expect(server.overdueConnections == 1)
            #expect(handler.cutOff.withLock { $0 } == [.slowHeaders])
        }
    }

    @Test func anIdleClientIsCutOff() async throws {
        var limits = HTTPLimits()
        limits.headerSecondsMax = 1
        try await withServer(limits) { socket, _, handler in
            let client = try HTTPClient(socket: socket)
            #expect(try client.send("GET", "/").status == 200)
            #expect(client.isClosed())
            #expect(handler.cutOff.withLock { $0 } == [.idle])
        }
    }

    @Test func aBodyThatDripsIsCutOff() async throws {
        var limits = HTTPLimits()
        limits.bodySecondsMax = 1
        try await withServer(limits) { socket, _, handler in
            let client = try HTTPClient(socket: socket)
            try client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            #expect(throws: TestFailure.self) {
                for _ in 0..<200 {
                    try client.write("a")
                    usleep(100_000)
                }
            }
            #expect(handler.cutOff.withLock { $0 } == [.slowBody])
        }
    }

    @Test func aClientThatDoesNotReadIsCutOff() async throws {
        var limits = HTTPLimits()
        limits.responseSecondsMax = 1
        try await withServer(limits) { socket, server, handler in
            let client = try HTTPClient(socket: socket)
            // Larger than the socket's buffers.
            let size = 4 << 20
            try client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \(size)\r\n\r\n")
            try client.write(String(repeating: "x", count: size))
            try eventually("it is cut off") { handler.cutOff.withLock { $0 } == [.slowReader] }
            #expect(server.overdueConnections == 1)
            #expect(throws: TestFailure.self) { try client.readAnswer() }
        }
    }

    @Test func stoppingAnswersSuspendedRequests() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let handler = Handler()
                let server = HTTPServer(
                    listener: try HTTPListener(unix: directory + "/s", group: nil), handler: handler)
                try server.start()
                let clients = try (0..<10).map { _ in try HTTPClient(socket: directory + "/s") }
                for client in clients { try client.write("GET /park HTTP/1.1\r\nHost: x\r\n\r\n") }
                try eventually("all are parked") { handler.parked.withLock { $0.count } == clients.count }
                server.stop()
                for client in clients { #expect(try client.readAnswer().status == 503) }
                // An answer after the end is ignored.
                for exchange in handler.parked.withLock({ $0 }) { exchange.respond(HTTPResponse(status: 200)) }
                #expect(!FileManager.default.fileExists(atPath: directory + "/s"))
            }
        }
    }

    @Test func aSuspendedClientMayDisconnect() async throws {
        try await withServer { socket, _, handler in
            do {
                let clients = try (0..<20).map { _ in try HTTPClient(socket: socket) }
                for client in clients { try client.write("GET /park HTTP/1.1\r\nHost: x\r\n\r\n") }
                try eventually("all are parked") { handler.parked.withLock { $0.count } == clients.count }
            }
            for exchange in handler.parked.withLock({ $0 }) { exchange.respond(HTTPResponse(status: 200)) }
            #expect(try HTTPClient(socket: socket).send("POST", "/", body: "alive").text == "alive")
        }
    }

    @Test func manyClientsAtOnce() async throws {
        try await withServer { socket, _, _ in
            DispatchQueue.concurrentPerform(iterations: 32) { number in
                let client = try? HTTPClient(socket: socket)
                for _ in 0..<50 {
                    #expect((try? client?.send("POST", "/", body: "\(number)").text) == "\(number)")
                }
            }
        }
    }

    @Test func theSocketIsForOwnerAndGroupAlone() async throws {
        try await withServer { socket, _, _ in
            let mode = try FileManager.default.attributesOfItem(atPath: socket)[.posixPermissions] as? Int
            #expect(mode == 0o660)
        }
    }

    @Test func aSocketInUseIsNotReplaced() async throws {
        try await withServer { socket, _, _ in
            #expect(throws: HTTPServerError.self) { _ = try HTTPListener(unix: socket, group: nil) }
            let answer = try HTTPClient(socket: socket).send("POST", "/", body: "x")
            #expect(answer.text == "x")
        }
    }

    @Test func aFileThatIsNotASocketIsNotRemoved() throws {
        try withTemporaryDirectory { directory in
            try "precious".write(toFile: directory + "/s", atomically: true, encoding: .utf8)
            #expect(throws: HTTPServerError.self) { try HTTPListener(unix: directory + "/s", group: nil) }
            #expect(try String(contentsOfFile: directory + "/s", encoding: .utf8) == "precious")
        }
    }
}
