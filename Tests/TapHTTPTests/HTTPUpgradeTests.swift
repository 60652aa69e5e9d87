import TapSystem
import Foundation
import Glibc
import Synchronization
import TapHTTP
import TestSupport
import Testing

/// Leaves each request unanswered, and records the calls of the takers.
private final class Upgrader: HTTPHandler {
    struct Notes {
        var parked: [HTTPExchange] = []
        /// For each call of a taker, whether it got a socket.
        var taken: [Bool] = []
        var kept: [OwnedDescriptor] = []
    }

    let notes = Mutex(Notes())

    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) { notes.withLock { $0.parked.append(exchange) } }

    func wasCutOff(_ reason: HTTPCutOff) {}

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        HTTPResponse(status: 503)
    }

    var taken: [Bool] { notes.withLock { $0.taken } }

    func waitForRequest() throws -> HTTPExchange {
        try eventually("the request is parked") { notes.withLock { !$0.parked.isEmpty } }
        return notes.withLock { $0.parked.removeFirst() }
    }

    /// The taker is the socket's last owner, so the socket closes when it returns.
    func upgrade(_ exchange: HTTPExchange) {
        exchange.upgrade(HTTPResponse(status: 101, headers: ["Upgrade": "x"])) { socket in
            self.notes.withLock { $0.taken.append(socket != nil) }
        }
    }
}

/// The taker is called exactly once, however the connection ends: otherwise its caller would wait forever.
@Suite struct HTTPUpgradeTests {
    private static let request = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

    private func withUpgrader(
        _ body: @escaping @Sendable (_ socket: String, _ upgrader: Upgrader, _ server: HTTPServer) throws -> Void
    ) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let upgrader = Upgrader()
                let listener = try HTTPListener(unix: directory + "/s", group: nil)
                let server = HTTPServer(listener: listener, handler: upgrader)
                try server.start()
                defer { server.stop() }
                try body(directory + "/s", upgrader, server)
            }
        }
    }

    private func expect(_ taken: [Bool], of upgrader: Upgrader) throws {
        try eventually("the taker is called") { upgrader.taken.count >= taken.count }
        // Time for a second call, which must not come.
        usleep(20_000)
        #expect(upgrader.taken == taken)
    }

    @Test func theSocketIsPassedOn() async throws {
        try await withUpgrader { socket, upgrader, _ in
            let client = try HTTPClient(socket: socket)
            try client.write(Self.request)
            upgrader.upgrade(try upgrader.waitForRequest())
            #expect(try client.readAnswer().status == 101)
            try expect([true], of: upgrader)
            #expect(client.isClosed())
        }
    }

    @Test func aDisconnectedClientIsReported() async throws {
        try await withUpgrader { socket, upgrader, _ in
            for _ in 0..<20 {
                var client: HTTPClient? = try HTTPClient(socket: socket)
                try client?.write(Self.request)
                let exchange = try upgrader.waitForRequest()
                client = nil
                upgrader.upgrade(exchange)
            }
            try expect(Array(repeating: false, count: 20), of: upgrader)
        }
    }

    /// The library refuses the upgrade after the connection was suspended.
    @Test func anUpgradeThatTheLibraryRefusesIsReported() async throws {
        try await withUpgrader { socket, upgrader, _ in
            let client = try HTTPClient(socket: socket)
            try client.write(Self.request.replacing("HTTP/1.1", with: "HTTP/1.0"))
            upgrader.upgrade(try upgrader.waitForRequest())
            try expect([false], of: upgrader)
            #expect(client.isClosed())
        }
    }

    @Test func onlyTheFirstAnswerCounts() async throws {
        try await withUpgrader { socket, upgrader, _ in
            let client = try HTTPClient(socket: socket)
            try client.write(Self.request)
            let exchange = try upgrader.waitForRequest()
            exchange.respond(HTTPResponse(status: 204))
            upgrader.upgrade(exchange)
            #expect(try client.readAnswer().status == 204)
            try expect([false], of: upgrader)
        }
    }

    @Test func afterTheStopNoClientIsWaitedFor() async throws {
        try await withUpgrader { socket, upgrader, server in
            let client = try HTTPClient(socket: socket)
            try client.write(Self.request)
            let exchange = try upgrader.waitForRequest()
            server.stop()
            #expect(try client.readAnswer().status == 503)
            upgrader.upgrade(exchange)
            try expect([false], of: upgrader)
        }
    }

    /// An upgraded connection has no deadline, and its descriptor's number may belong to another one.
    @Test func upgradedConnectionsAreNotCutOff() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let upgrader = Upgrader()
                var limits = HTTPLimits()
                (limits.headerSecondsMax, limits.responseSecondsMax, limits.crowdedSecondsMax) = (1, 1, 1)
                let path = directory + "/s"
                let server = HTTPServer(
                    listener: try HTTPListener(unix: path, group: nil), limits: limits, handler: upgrader)
                try server.start()
                defer { server.stop() }
                let clients = try (0..<20).map { _ in
                    let client = try HTTPClient(socket: path)
                    try client.write(Self.request)
                    let exchange = try upgrader.waitForRequest()
                    exchange.upgrade(HTTPResponse(status: 101, headers: ["Upgrade": "x"])) { socket in
                        if let socket { upgrader.notes.withLock { $0.kept.append(socket) } }
                    }
                    #expect(try client.readAnswer().status == 101)
                    return client
                }
                sleep(4)
                #expect(server.overdueConnections == 0)
                let sockets = upgrader.notes.withLock { $0.kept.map { $0.take() } }
                #expect(sockets.count == 20 && !sockets.contains(-1), "\(sockets)")
                for number in sockets { #expect(send(number, "x", 1, Int32(MSG_NOSIGNAL)) == 1) }
                for number in sockets { close(number) }
                for client in clients { #expect(client.isClosed()) }
            }
        }
    }
}
