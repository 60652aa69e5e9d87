import Foundation
import Synchronization
import TapSystem
import TestSupport
import Testing

@testable import TapHTTP

/// Requests for `/user/…` are authenticated; those for `/user/park` stay unanswered.
private final class Handler: HTTPHandler {
    let parked = Mutex<[HTTPExchange]>([])
    let cutOff = Mutex<[HTTPCutOff]>([])

    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        if request.head.segments.first == "user" { exchange.markAuthenticated() }
        if request.head.segments.last == "park" { return parked.withLock { $0.append(exchange) } }
        exchange.respond(HTTPResponse(status: 200, body: HTTPBody("served")))
    }

    func wasCutOff(_ reason: HTTPCutOff) { cutOff.withLock { $0.append(reason) } }

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        HTTPResponse(status: 503, body: HTTPBody(rejection.rawValue))
    }
}

/// Which connection ends when there is no place for another.
@Suite struct ConnectionPlacesTests {
    /// 12 connections, 8 without authentication, 6 of one client.
    private static let limits = {
        var limits = HTTPLimits()
        (limits.connectionsMax, limits.unauthenticatedConnectionsMax, limits.connectionsOfOneMax) = (12, 8, 6)
        limits.reservedConnectionsMax = 3
        // Only the limits of connections may end one.
        (limits.crowdedSecondsMax, limits.headerSecondsMax, limits.bodySecondsMax) = (600, 600, 600)
        return limits
    }()

    private func withServer(
        _ address: String = "127.0.0.1:0", tls: HTTPTLS? = nil,
        _ body: @escaping @Sendable (_ port: UInt16, _ handler: Handler) throws -> Void
    ) async throws {
        try await onThread {
            let handler = Handler()
            let listener = try HTTPListener(tcp: #require(NetworkAddress(address)), tls: tls)
            let server = HTTPServer(listener: listener, limits: Self.limits, handler: handler)
            try server.start()
            defer { server.stop() }
            try body(try #require(NetworkAddress(listener.description)).port, handler)
        }
    }

    /// Connections that send this and no more, from each of the addresses.
    private static func silent(
        _ beginning: String, _ port: UInt16, from sources: [String], each: Int = 12
    ) throws -> [HTTPClient] {
        try sources.flatMap { source in
            try (0..<each).map { _ in
                let client = try HTTPClient(port: port, from: source)
                // It may have been closed for one of the later ones.
                if !beginning.isEmpty { try? client.write(beginning) }
                return client
            }
        }
    }

    /// A connection with a request in progress. It might make way before the request is read.
    private static func park(_ handler: Handler, _ connect: () throws -> HTTPClient) throws -> HTTPClient {
        let count = handler.parked.withLock { $0.count }
        let client = try connect()
        try client.write("GET /user/park HTTP/1.1\r\nHost: x\r\n\r\n")
        try eventually("it is parked") { handler.parked.withLock { $0.count } > count }
        return client
    }

    private static func expectServed(_ port: UInt16, from source: String, times: Int = 20) throws {
        for _ in 0..<times {
            #expect(try HTTPClient(port: port, from: source).send("GET", "/user").text == "served")
        }
    }

    @Test(arguments: ["", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"])
    func silentConnectionsMakeWay(beginning: String) async throws {
        try await withServer { port, handler in
            let user = try HTTPClient(port: port, from: "127.0.0.7")
            #expect(try user.send("GET", "/user").text == "served")
            for sources in [["127.0.0.2", "127.0.0.3"], (20..<60).map { "127.0.0.\($0)" }] {
                let silent = try Self.silent(beginning, port, from: sources)
                try Self.expectServed(port, from: "127.0.0.8")
                // Clients that have authenticated keep their places.
                #expect(try user.send("GET", "/user").text == "served")
                _ = silent
            }
            #expect(handler.cutOff.withLock { Set($0) } == [.displaced])
        }
    }

    /// A slow client with one connection is not the first to go, although it has been silent longest.
    @Test func clientsWithTheMostConnectionsGoFirst() async throws {
        try await withServer { port, _ in
            let slow = try HTTPClient(port: port, from: "127.0.0.9")
            try slow.write("GET /user HTTP/1.1\r\n")
            let silent = try Self.silent("", port, from: ["127.0.0.2", "127.0.0.3"])
            try slow.write("Host: localhost\r\n\r\n")
            #expect(try slow.readAnswer().text == "served")
            _ = silent
        }
    }

    /// As for users who share an address with a client that is silent.
    @Test func theSilentConnectionsOfOneAddressMakeWay() async throws {
        try await withServer { port, handler in
            let silent = try Self.silent("", port, from: ["127.0.0.2"])
            try Self.expectServed(port, from: "127.0.0.2")
            #expect(handler.cutOff.withLock { !$0.isEmpty })
            _ = silent
        }
    }

    @Test func requestsInProgressKeepTheirPlaces() async throws {
        try await withServer { port, handler in
            let parked = try [("127.0.0.2", 6), ("127.0.0.3", 6)].flatMap { source, count in
                try (0..<count).map { _ in try Self.park(handler) { try HTTPClient(port: port, from: source) } }
            }
            let refused = try HTTPClient(port: port, from: "127.0.0.4")
            let answer = try refused.readAnswer()
            #expect(answer.text == "tooManyConnections")
            #expect(answer.headers["connection"] == "close")
            #expect(refused.isClosed())
            for exchange in handler.parked.withLock({ $0 }) {
                exchange.respond(HTTPResponse(status: 200, body: HTTPBody("late")))
            }
            for client in parked { #expect(try client.readAnswer().text == "late") }
            // Now they are between two requests, and one of them makes way.
            try Self.expectServed(port, from: "127.0.0.4", times: 1)
            #expect(handler.cutOff.withLock { $0 } == [.displaced])
        }
    }

    /// Root and the server's own user have places of their own on the Unix socket, and no limit of one client.
    @Test func theOperatorHasPlacesInReserve() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let handler = Handler()
                let path = directory + "/s"
                let server = HTTPServer(
                    listener: try HTTPListener(unix: path, group: nil), limits: Self.limits, handler: handler)
                try server.start()
                defer { server.stop() }
                let parked = try (0..<15).map { _ in try Self.park(handler) { try HTTPClient(socket: path) } }
                #expect(try HTTPClient(socket: path).readAnswer().text == "tooManyConnections")
                for exchange in handler.parked.withLock({ $0 }) { exchange.respond(HTTPResponse(status: 200)) }
                for client in parked { #expect(try client.readAnswer().status == 200) }
                #expect(try HTTPClient(socket: path).send("GET", "/").text == "served")
            }
        }
    }

    @Test func stalledHandshakesMakeWay() async throws {
        let files = try withTemporaryDirectory { directory in
            let files = try Certificates(in: directory)
            try files.issue("server", purpose: "serverAuth", names: "IP:127.0.0.1")
            return try (files.text(files.certificate("server")), files.text(files.key("server")))
        }
        let tls = try HTTPTLS(certificates: files.0, key: files.1, clientAuthorities: nil)
        try await withServer(tls: tls) { port, _ in
            // The beginning of a ClientHello (RFC 8446, section 5.1), and nothing.
            let silent = try ["", "\u{16}\u{03}\u{01}"].flatMap {
                try Self.silent($0, port, from: ["127.0.0.2", "127.0.0.3"])
            }
            for _ in 0..<3 {
                #expect(try run("curl", "-sk", "--max-time", "30", "https://127.0.0.1:\(port)/user") == "served")
            }
            _ = silent
        }
    }

    /// IPv4 clients of a socket for both protocols are told apart, though their mapped addresses share 64 bits.
    @Test func aSocketForBothProtocolsTellsIPv4ClientsApart() async throws {
        try await withServer("[::]:0") { port, handler in
            let parked = try (2..<4).flatMap { host in
                try (0..<5).map { _ in try Self.park(handler) { try HTTPClient(port: port, from: "127.0.0.\(host)") } }
            }
            #expect(handler.parked.withLock { $0.count } == parked.count)
            for exchange in handler.parked.withLock({ $0 }) { exchange.respond(HTTPResponse(status: 200)) }
        }
    }

    @Test(arguments: [
        ("[2001:db8::1]:1", "[2001:db8::ffff:1:2:3]:9", true), ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false),
        ("192.0.2.1:1", "192.0.2.1:2", true), ("192.0.2.1:1", "192.0.2.2:1", false),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1:1", true), ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false),
        ("[::1]:1", "[::2]:1", true), ("[fe80::1]:1", "[fe80::2]:1", true),
    ])
    func anIPv6NetworkIsOneClient(first: String, second: String, areOne: Bool) throws {
        let owners = try [first, second].map { ConnectionOwner(try #require(NetworkAddress($0))) }
        #expect((owners[0] == owners[1]) == areOne)
    }
}
