import Foundation
import CLinux
import Glibc

/// An event of a watch stream: one line, or one server-sent event.
public struct StreamedEvent: @unchecked Sendable {
    // Unchecked: JSON values are never changed.
    /// The event's type, such as `ADDED`.
    public let type: String
    /// The `id` of a server-sent event.
    public let identifier: String?
    /// The event's object.
    public let object: [String: Any]

    /// The object's `metadata`.
    public var metadata: [String: Any] { object["metadata"] as? [String: Any] ?? [:] }
    /// The device's name; empty for other objects.
    public var name: String { metadata["name"] as? String ?? "" }
    /// The device's `uid`.
    public var uid: String { metadata["uid"] as? String ?? "" }
    /// The object's `resourceVersion`.
    public var resourceVersion: String { metadata["resourceVersion"] as? String ?? "" }

    /// For comparisons: `ADDED web0`, or `BOOKMARK`.
    public var summary: String { name.isEmpty ? type : "\(type) \(name)" }
}

/// A request with a streamed answer, and a minimal HTTP client that reads it: unframed or in chunks (RFC 9112, section
/// 7.1).
public final class WatchStream {
    /// The HTTP status.
    public let status: Int
    /// The header fields, with their names in lower case.
    public let headers: [String: String]
    private let descriptor: Int32
    private var received = Data()
    private var text = Data()
    /// Whether the answer's last chunk has arrived.
    public private(set) var isComplete = false

    public convenience init(
        socket path: String, _ target: String = "/v1/watch", method: String = "GET", version: String = "1.1",
        headers: [String: String] = [:]
    ) throws {
        try self.init(on: try HTTPClient.open(path), target, method: method, version: version, headers: headers)
    }

    /// Connects to a port of the loopback address.
    public convenience init(port: UInt16, _ target: String = "/v1/watch", headers: [String: String] = [:]) throws {
        try self.init(on: try HTTPClient.open(port: port), target, method: "GET", version: "1.1", headers: headers)
    }

    private init(
        on connection: Int32, _ target: String, method: String, version: String, headers: [String: String]
    ) throws {
        descriptor = connection
        var request = "\(method) \(target) HTTP/\(version)\r\nHost: localhost\r\n"
        for (name, value) in headers { request += "\(name): \(value)\r\n" }
        request += "\r\n"
        _ = request.withCString { Glibc.send(connection, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        var head = Data()
        let separator = Data("\r\n\r\n".utf8)
        while head.range(of: separator) == nil {
            guard let more = Self.receive(connection) else {
                close(connection)
                throw TestFailure("the server closed the connection")
            }
            head += more
        }
        let end = head.range(of: separator) ?? head.startIndex..<head.startIndex
        received = Data(head[end.upperBound...])
        let lines = String(decoding: head[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        status = Int(lines[0].split(separator: " ")[1]) ?? 0
        self.headers = Dictionary(
            lines.dropFirst().map { line in
                let parts = line.split(separator: ":", maxSplits: 1)
                return (parts[0].lowercased(), parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : "")
            }, uniquingKeysWith: { $1 })
    }

    deinit {
        close(descriptor)
    }

    private var isChunked: Bool { headers["transfer-encoding"] == "chunked" }
    private var isEventStream: Bool { headers["content-type"] == "text/event-stream" }

    /// The next event; `nil` at the end of the answer.
    public func next() throws -> StreamedEvent? {
        let separator = Data((isEventStream ? "\n\n" : "\n").utf8)
        while true {
            if let end = text.range(of: separator) {
                let event = Data(text[..<end.lowerBound])
                text = Data(text[end.upperBound...])
                return try parse(String(decoding: event, as: UTF8.self))
            }
            guard try more() else { return nil }
        }
    }

    /// Reads events up to and including the first that satisfies the condition.
    public func events(until isLast: (StreamedEvent) throws -> Bool) throws -> [StreamedEvent] {
        var events: [StreamedEvent] = []
        while let event = try next() {
            events.append(event)
            if try isLast(event) { return events }
        }
        throw TestFailure("the stream ended after \(events.map(\.summary))")
    }

    /// Reads events up to and including the first BOOKMARK.
    public func eventsUntilBookmark() throws -> [StreamedEvent] { try events { $0.type == "BOOKMARK" } }

    /// - Returns: Whether data follows.
    private func more() throws -> Bool {
        guard !isComplete else { return false }
        if received.isEmpty || (isChunked && !hasWholeChunk) {
            guard let data = Self.receive(descriptor) else { return false }
            received += data
        }
        if isChunked {
            try removeChunk()
        } else {
            text += received
            received = Data()
        }
        return true
    }

    /// The offset and size of the first chunk's data.
    private var chunk: (start: Data.Index, count: Int)? {
        guard let end = received.range(of: Data("\r\n".utf8)) else { return nil }
        let size = String(decoding: received[..<end.lowerBound], as: UTF8.self)
        return Int(size, radix: 16).map { (end.upperBound, $0) }
    }

    private var hasWholeChunk: Bool {
        guard let chunk else { return false }
        return received.distance(from: chunk.start, to: received.endIndex) >= chunk.count + 2
    }

    private func removeChunk() throws {
        guard hasWholeChunk, let chunk else { return }
        text += received[chunk.start..<chunk.start + chunk.count]
        received = Data(received[(chunk.start + chunk.count + 2)...])
        if chunk.count == 0 { isComplete = true }
    }

    private func parse(_ event: String) throws -> StreamedEvent {
        var fields: [String: String] = ["data": event]
        if isEventStream {
            for line in event.split(separator: "\n") {
                let parts = line.split(separator: ":", maxSplits: 1)
                fields[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces)
            }
        }
        let json = try JSONSerialization.jsonObject(with: Data((fields["data"] ?? "").utf8)) as? [String: Any] ?? [:]
        let type = json["type"] as? String ?? ""
        if let name = fields["event"], name != type { throw TestFailure("event \(name) has data of \(type)") }
        return StreamedEvent(type: type, identifier: fields["id"], object: json["object"] as? [String: Any] ?? [:])
    }

    private static func receive(_ descriptor: Int32) -> Data? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? Data(buffer[..<count]) : nil
    }
}
