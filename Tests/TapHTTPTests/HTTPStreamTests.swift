import TapSystem
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import TapHTTP

/// A source that sends the lines it is given.
private final class Lines: HTTPStreamSource, HTTPHandler {
    private struct State {
        var lines: [String] = []
        var isOver = false
        var asked = 0
    }

    private let state = Mutex(State())
    let ends = Mutex<[Bool]>([])
    let stream = Mutex<HTTPStream?>(nil)

    func say(_ line: String) {
        state.withLock { $0.lines.append(line) }
        stream.withLock { $0 }?.wake()
    }

    func finish() {
        state.withLock { $0.isOver = true }
        stream.withLock { $0 }?.wake()
    }

    /// The number of calls of `next`.
    var asked: Int { state.withLock { $0.asked } }

    func next(isStopping: Bool) -> HTTPStreamStep {
        state.withLock { state in
            state.asked += 1
            if !state.lines.isEmpty { return .send([HTTPBody(state.lines.removeFirst()), HTTPBody("\n"), .empty]) }
            return state.isOver ? .end : .wait
        }
    }

    func ended(isOverdue: Bool) { ends.withLock { $0.append(isOverdue) } }

    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        let new = HTTPStream(self)
        stream.withLock { $0 = new }
        exchange.respond(HTTPResponse(status: 200, stream: new))
    }

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        HTTPResponse(status: 503)
    }

    func wasCutOff(_ reason: HTTPCutOff) {}
}

@Suite struct HTTPStreamTests {
    private func withServer(
        _ limits: HTTPLimits = HTTPLimits(),
        _ body: @escaping @Sendable (_ socket: String, _ server: HTTPServer, _ lines: Lines) throws -> Void
    ) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let lines = Lines()
                let server = HTTPServer(
                    listener: try HTTPListener(unix: directory + "/s", group: nil), limits: limits, handler: lines)
                try server.start()
                defer { server.stop() }
                try body(directory + "/s", server, lines)
            }
        }
    }

    @Test func linesArriveAtOnceAndInOrder() async throws {
        try await withServer { socket, _, lines in
            let stream = try WatchStream(socket: socket)
            for line in 1...500 {
                lines.say(#"{"type": "\#(line)"}"#)
                if line % 7 == 0 { #expect(try stream.events { $0.type == "\(line)" }.count == 7) }
            }
            lines.finish()
            #expect(try stream.events { $0.type == "500" }.count == 3)
            #expect(try stream.next() == nil)
            #expect(stream.isComplete)
            try eventually("it is over") { lines.ends.withLock { $0 == [false] } }
        }
    }

    /// Pieces longer than the buffer that the library fills at once.
    @Test func longPiecesComeWhole() async throws {
        try await withServer { socket, _, lines in
            let stream = try WatchStream(socket: socket)
            let text = String(repeating: "0123456789", count: 50_000)
            lines.say(#"{"type": "long", "object": {"text": "\#(text)"}}"#)
            #expect(try stream.next()?.object["text"] as? String == text)
        }
    }

    @Test func theConnectionServesOnAfterTheEnd() async throws {
        try await withServer { socket, _, lines in
            let client = try HTTPClient(socket: socket)
            lines.finish()
            #expect(try client.send("GET", "/").status == 200)
            try client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try eventually("the second is asked for") { lines.ends.withLock { $0.count == 2 } }
        }
    }

    /// The source is not asked while the client does not read, and the client is cut off in time.
    @Test func aClientThatDoesNotReadIsCutOff() async throws {
        var limits = HTTPLimits()
        limits.streamStallSecondsMax = 1
        try await withServer(limits) { socket, server, lines in
            let stream = try WatchStream(socket: socket)
            let text = String(repeating: "x", count: 10_000)
            for _ in 0..<1_000 { lines.say(text) }
            try eventually("it is cut off", within: 30) { lines.ends.withLock { $0 == [true] } }
            #expect(lines.asked < 500)
            #expect(server.overdueConnections == 1)
            _ = stream
        }
    }

    /// The deadline applies only while there are bytes to read.
    @Test func aClientWithNothingToReadIsNotCutOff() async throws {
        var limits = HTTPLimits()
        limits.streamStallSecondsMax = 1
        limits.headerSecondsMax = 1
        try await withServer(limits) { socket, server, lines in
            let stream = try WatchStream(socket: socket)
            lines.say(#"{"type": "one"}"#)
            #expect(try stream.next()?.type == "one")
            Thread.sleep(forTimeInterval: 4)
            lines.say(#"{"type": "two"}"#)
            #expect(try stream.next()?.type == "two")
            #expect(server.overdueConnections == 0)
        }
    }

    @Test func aDisconnectIsNoticedAtTheNextWrite() async throws {
        try await withServer { socket, _, lines in
            var stream: WatchStream? = try WatchStream(socket: socket)
            lines.say(#"{"type": "one"}"#)
            #expect(try stream?.next()?.type == "one")
            stream = nil
            lines.say("two")
            try eventually("it is over") { lines.ends.withLock { $0 == [false] } }
        }
    }

    @Test func aStopEndsSuspendedStreams() async throws {
        try await withServer { socket, server, lines in
            let stream = try WatchStream(socket: socket)
            lines.say(#"{"type": "one"}"#)
            #expect(try stream.next()?.type == "one")
            server.stop()
            #expect(try stream.next() == nil)
            #expect(stream.isComplete)
            #expect(lines.ends.withLock { $0 } == [false])
        }
    }
}
