import CLinux
import Foundation
import Glibc

/// An answer as received.
public struct Answer: Sendable {
    /// The HTTP status.
    public let status: Int
    /// The header fields, with their names in lower case.
    public let headers: [String: String]
    /// The body's bytes.
    public let body: Data

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON; `NSNull` if it is not JSON.
    public var json: Any { (try? JSONSerialization.jsonObject(with: body, options: .fragmentsAllowed)) ?? NSNull() }

    /// A nested value of the body: `answer["status", "phase"]`; numbers are array indices.
    public subscript(path: String...) -> Any? {
        path.reduce(json as Any?) { value, key in
            if let index = Int(key), let array = value as? [Any] { return index < array.count ? array[index] : nil }
            return (value as? [String: Any])?[key]
        }
    }
}

/// One connection to a server, with a minimal HTTP client that can also send malformed requests.
public final class HTTPClient {
    private let descriptor: Int32
    private var received = Data()

    public init(socket path: String) throws {
        descriptor = try Self.open(path)
    }

    static func open(_ path: String) throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        limitWaits(descriptor)
        guard result == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw TestFailure("connect \(path): \(reason)")
        }
        return descriptor
    }

    /// A server that never answers must fail the test, not block it.
    private static func limitWaits(_ descriptor: Int32) {
        var limit = timeval(tv_sec: Int(60 * patience), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Connects to a port of this namespace.
    ///
    /// - Parameters:
    ///   - port: The server's port.
    ///   - host: The server's IPv4 or IPv6 address.
    ///   - source: The client's address; `nil` leaves it to the kernel.
    /// - Throws: `TestFailure` if there is no server.
    public init(port: UInt16, at host: String = "127.0.0.1", from source: String? = nil) throws {
        descriptor = try Self.open(port: port, at: host, from: source)
    }

    static func open(port: UInt16, at host: String = "127.0.0.1", from source: String? = nil) throws -> Int32 {
        let family = host.contains(":") ? AF_INET6 : AF_INET
        let descriptor = Glibc.socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        limitWaits(descriptor)
        var result: Int32 = 0
        if let source {
            // Otherwise the kernel would choose the port now, among those that are free for all servers.
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &on, socklen_t(MemoryLayout<Int32>.size))
            result = try withAddress(source, 0) { bind(descriptor, $0, $1) }
        }
        if result == 0 { result = try withAddress(host, port) { connect(descriptor, $0, $1) } }
        guard result == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw TestFailure("connect \(port): \(reason)")
        }
        return descriptor
    }

    /// Calls `body` with a numeric address in the form of socket calls.
    private static func withAddress(
        _ host: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let found else {
            throw TestFailure("\(host) is not an address")
        }
        defer { freeaddrinfo(found) }
        return body(found.pointee.ai_addr, found.pointee.ai_addrlen)
    }

    deinit {
        // A process that another test is starting may hold a copy of the descriptor, which would keep the connection
        // open.
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    /// Sends a request and reads the answer.
    public func send(_ method: String, _ target: String, headers: [String: String] = [:], body: String? = nil) throws
        -> Answer
    {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        if let body { text += "Content-Length: \(body.utf8.count)\r\n" }
        // A server may answer, and close, before it has read everything.
        try? write(text + "\r\n" + (body ?? ""))
        return try readAnswer(hasBody: method != "HEAD")
    }

    /// Sends a body as JSON.
    public func send(_ method: String, _ target: String, json: String) throws -> Answer {
        try send(method, target, headers: ["Content-Type": "application/json"], body: json)
    }

    /// Sends the bytes unchanged.
    public func write(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard sent > 0 else { throw TestFailure("the server closed the connection while we wrote") }
            rest = rest.dropFirst(sent)
        }
    }

    /// The number of sent bytes that the server has not read yet (unix(7), `SIOCOUTQ`).
    public var unreadBytes: Int32 { clinux_unread_bytes(descriptor) }

    /// Reads the answer to a request that was sent with `write`.
    public func readAnswer(hasBody: Bool = true) throws -> Answer {
        let separator = Data("\r\n\r\n".utf8)
        while received.range(of: separator) == nil { try receive() }
        guard let end = received.range(of: separator) else { throw TestFailure("no header") }
        let head = String(decoding: received[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in head.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
        }
        let status = Int(head[0].split(separator: " ").dropFirst().first ?? "") ?? 0
        // An interim answer (1xx) is followed by the final one.
        if status == 100 {
            received = Data(received[end.upperBound...])
            return try readAnswer(hasBody: hasBody)
        }
        let length = hasBody && status != 304 ? Int(headers["content-length"] ?? "0") ?? 0 : 0
        while received.count - received.distance(from: received.startIndex, to: end.upperBound) < length {
            try receive()
        }
        let body = received[end.upperBound...].prefix(length)
        let answer = Answer(status: status, headers: headers, body: Data(body))
        received = Data(received[end.upperBound...].dropFirst(length))
        return answer
    }

    /// Waits for the server to close the connection.
    public func isClosed() -> Bool {
        do {
            while true { try receive() }
        } catch {
            return true
        }
    }

    private func receive() throws {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { throw TestFailure("the server closed the connection") }
        received.append(contentsOf: buffer[0..<count])
    }
}
