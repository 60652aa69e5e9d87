import CLinux
import Foundation
import Glibc

/// A client in this process that requests leases by the wire protocol, and can also violate it.
public final class Lessee {
    private static let patienceMilliseconds = Int32(30_000 * patience)

    /// The connection, which represents the lease.
    public let socket: Int32
    /// The status of the answer; 0 before `receive`.
    public private(set) var status = 0
    /// The head of the answer.
    public private(set) var head = ""
    /// The body of a refusal.
    public private(set) var problem: [String: Any] = [:]
    /// The descriptors of the queues.
    public private(set) var descriptors: [Int32] = []
    /// The indexes of the queues, in the order of `descriptors`.
    public private(set) var queues: [Int] = []
    /// The lease's identifier.
    public private(set) var identifier = ""

    private var received: [UInt8] = []
    private var hasLeft = false

    /// Connects without sending anything.
    public init(_ path: String) throws {
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw TestFailure("connect \(path): \(String(cString: strerror(errno)))") }
    }

    /// Connects and acquires a lease.
    public convenience init(_ path: String, of device: String, query: String = "") throws {
        try self.init(path)
        ask(device, query: query)
        try receive()
        guard status == 101 else { throw TestFailure("no lease of \(device): \(status) \(problem)") }
    }

    deinit {
        leave()
    }

    /// The request for a lease.
    public static func request(_ device: String, query: String = "") -> String {
        "GET /v1/devices/\(device)/lease\(query) HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            + "Upgrade: tapster-lease/1\r\n\r\n"
    }

    /// Sends the request for a lease.
    public func ask(_ device: String, query: String = "") { say(Self.request(device, query: query)) }

    /// Sends as many bytes as the socket accepts at once.
    ///
    /// - Returns: The number of bytes sent; −1 if the connection is closed or its buffer is full.
    @discardableResult
    public func say(_ text: String, with descriptors: [Int32] = []) -> Int {
        let bytes = Array(text.utf8)
        return clinux_send_descriptors(
            socket, bytes, bytes.count, descriptors, descriptors.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
    }

    /// Reads the answer and, after 101, all lines with their queues.
    ///
    /// - Throws: `TestFailure` if the connection ends early.
    public func receive() throws {
        let separator = Array("\r\n\r\n".utf8)
        var end = received.firstRange(of: separator)
        while end == nil {
            try read()
            end = received.firstRange(of: separator)
        }
        guard let end else { return }
        head = String(decoding: received[..<end.lowerBound], as: UTF8.self)
        status = Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0
        received.removeSubrange(..<end.upperBound)
        guard status == 101 else {
            let field = head.lowercased().components(separatedBy: "\r\ncontent-length: ").last ?? ""
            let length = Int(field.prefix { $0.isNumber }) ?? 0
            while received.count < length { try read() }
            problem = try JSONSerialization.jsonObject(with: Data(received.prefix(length))) as? [String: Any] ?? [:]
            received.removeFirst(length)
            return
        }
        var isLast = false
        while !isLast {
            var newline = received.firstIndex(of: UInt8(ascii: "\n"))
            while newline == nil {
                try read()
                newline = received.firstIndex(of: UInt8(ascii: "\n"))
            }
            guard let newline else { return }
            let line = try JSONSerialization.jsonObject(with: Data(received[..<newline])) as? [String: Any] ?? [:]
            received.removeSubrange(...newline)
            queues += line["queues"] as? [Int] ?? []
            identifier = line["lease"] as? String ?? ""
            isLast = line["last"] as? Bool ?? true
        }
    }

    private func read() throws {
        var event = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&event, 1, Self.patienceMilliseconds) == 1 else { throw TestFailure("there is no answer") }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var numbers = [Int32](repeating: 0, count: 253)
        var count = numbers.count
        var flags: Int32 = 0
        let size = clinux_receive_descriptors(socket, &bytes, bytes.count, &numbers, &count, nil, 0, &flags)
        if size > 0 { descriptors += numbers[..<count] }
        guard size > 0 else { throw TestFailure("the daemon has closed the connection after: \(head)") }
        received += bytes[..<size]
    }

    /// Whether the daemon has ended the connection.
    public var isEnded: Bool {
        var event = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&event, 1, 0) == 1 else { return false }
        var byte: UInt8 = 0
        return recv(socket, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) <= 0
    }

    /// Closes the writing direction only.
    public func halfClose() { shutdown(socket, Int32(SHUT_WR)) }

    /// Closes the connection and the queues.
    public func leave() {
        closeConnection()
        for descriptor in descriptors { close(descriptor) }
        descriptors = []
    }

    /// Returns the lease, but keeps its queues open.
    public func closeConnection() {
        if !hasLeft { close(socket) }
        hasLeft = true
    }
}
