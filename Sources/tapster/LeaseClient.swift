internal import Glibc
internal import TapCore
internal import TapDocument
internal import TapKernel
internal import TapSystem

/// Acquires a lease over the wire protocol: an HTTP upgrade, then lines of JSON, each with its queues' descriptors.
struct LeaseClient {
    /// For the complete answer, which usually takes milliseconds, waiting for the device included.
    static let answerSecondsMax = 30
    /// Of the complete answer: a lease's lines or a problem document.
    private static let bytesMax = 1 << 20
    private static let readBytesMax = 65_536

    private let path: String
    private let connection: OwnedDescriptor
    private let deadline: ContinuousClock.Instant
    private var bytes: [UInt8] = []
    /// Received descriptors whose line has not been parsed yet.
    private var descriptors: [OwnedDescriptor] = []

    /// Connects to the API's Unix socket.
    init(path: String) throws(LeaseFailure) {
        self.path = path
        deadline = .now + .seconds(Self.answerSecondsMax)
        do throws(Errno) {
            connection = try UnixSocket.connect(streamTo: path, sendSecondsMax: Self.answerSecondsMax)
        } catch {
            throw .unreachable(path, error)
        }
    }

    /// Leases queues.
    ///
    /// - Parameters:
    ///   - device: The name of the device.
    ///   - consumer: Leases queues that are assigned to this consumer; `nil` for unassigned ones.
    ///   - queues: The queues' indexes; `nil` for all that are free.
    ///   - force: Whether to lease beside queues of other processes.
    /// - Returns: The lease, whose descriptors belong to this process.
    /// - Throws: `LeaseFailure` if the daemon refuses the lease or the connection fails.
    mutating func lease(
        _ device: String, consumer: String?, queues: [Int]?, force: Bool
    ) throws(LeaseFailure) -> HeldLease {
        var query: [String] = []
        if let consumer { query.append("consumer=\(Self.encoded(consumer))") }
        if force { query.append("force=true") }
        if let queues { query.append("queues=\(queues.map(String.init).joined(separator: ","))") }
        let target =
            "/v1/devices/\(Self.encoded(device))/lease" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
        try send(
            "GET \(target) HTTP/1.1\r\nHost: tapster\r\nConnection: Upgrade\r\n"
                + "Upgrade: \(LeaseMessage.protocolName)\r\n\r\n"
        )
        let head = try readHead()
        guard head.status == 101 else { throw .refused(try readProblem(head)) }
        guard head.headers["upgrade"]?.lowercased() == LeaseMessage.protocolName else {
            throw LeaseFailure("the server at \(path) uses another protocol than \(LeaseMessage.protocolName)")
        }
        return try readLease()
    }

    private func send(_ text: String) throws(LeaseFailure) {
        do throws(Errno) {
            try DescriptorPassing.send(Array(text.utf8), with: [], over: connection.number)
        } catch {
            throw error == .wouldBlock ? .silent(path) : .broken(path)
        }
    }

    /// Receives bytes and descriptors. One call may return the end of the response's head and the first line together.
    ///
    /// - Returns: False at the end of the connection.
    private mutating func receive() throws(LeaseFailure) -> Bool {
        let message: ReceivedMessage
        do throws(Errno) {
            if try Poll.waitUntilReadable([connection.number], until: deadline).isEmpty { throw .wouldBlock }
            message = try DescriptorPassing.receive(
                upTo: Self.readBytesMax, from: connection.number, flags: MessageFlag.doNotWait)
        } catch {
            switch error {
            case .wouldBlock: throw .silent(path)
            // The kernel has discarded the descriptors that did not fit; another call would receive only bytes.
            case Errno(rawValue: EMSGSIZE):
                throw LeaseFailure("not all queues were received: is the limit of open files, 'ulimit -n', too small?")
            default: throw .broken(path)
            }
        }
        bytes += message.bytes
        descriptors += message.descriptors
        guard bytes.count <= Self.bytesMax else { throw .garbled(path) }
        return !message.bytes.isEmpty
    }

    /// - Returns: The bytes before the separator, which is removed too.
    private mutating func read(upTo separator: String) throws(LeaseFailure) -> [UInt8] {
        let separator = Array(separator.utf8)
        var searched = 0
        while true {
            if let range = bytes[searched...].firstRange(of: separator) {
                let part = Array(bytes[..<range.lowerBound])
                bytes.removeSubrange(..<range.upperBound)
                return part
            }
            searched = max(0, bytes.count - separator.count + 1)
            guard try receive() else { throw .broken(path) }
        }
    }

    private mutating func readHead() throws(LeaseFailure) -> (status: Int, reason: String, headers: [String: String]) {
        let lines = String(decoding: try read(upTo: "\r\n\r\n"), as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw .garbled(path)
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        return (status, words.dropFirst().joined(separator: " "), headers)
    }

    /// - Returns: The `detail` of a problem document (RFC 9457), or a text with the status line.
    private mutating func readProblem(
        _ head: (status: Int, reason: String, headers: [String: String])
    ) throws(LeaseFailure) -> String {
        let length = min(head.headers["content-length"].flatMap { Int($0) } ?? Self.bytesMax, Self.bytesMax)
        while bytes.count < length {
            guard try receive() else { break }
        }
        do throws(InvalidDocument) { return try ProblemDocument(bytes: Array(bytes.prefix(length))).detail } catch {
            return "the server at \(path) answered '\(head.reason)'"
        }
    }

    private mutating func readLease() throws(LeaseFailure) -> HeldLease {
        var queues: [OwnedDescriptor] = []
        while true {
            let line = try read(upTo: "\n")
            let message: LeaseMessage
            do throws(InvalidDocument) { message = try LeaseMessage(bytes: line) } catch { throw .garbled(path) }
            guard descriptors.count >= message.queues.count else { throw .miscounted(path) }
            queues += descriptors.prefix(message.queues.count)
            descriptors.removeFirst(message.queues.count)
            if message.isLast { break }
        }
        // After the last line there must be no descriptors left.
        guard descriptors.isEmpty, !queues.isEmpty else { throw .miscounted(path) }
        return HeldLease(connection: connection, queues: queues)
    }

    /// Percent-encodes a path segment or a query value: all but unreserved characters (RFC 3986, section 2.3).
    private static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let character = Character(Unicode.Scalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
                return String(character)
            }
            return "%" + String(byte >> 4, radix: 16, uppercase: true) + String(byte & 15, radix: 16, uppercase: true)
        }.joined()
    }
}

/// A lease, which lasts as long as its connection is open.
struct HeldLease {
    let connection: OwnedDescriptor
    /// In the order in which the server sent them.
    let queues: [OwnedDescriptor]

    /// Leaves all descriptors open for the program that this process executes.
    func passOn() throws(Errno) {
        try connection.passOn()
        for queue in queues { try queue.passOn() }
    }

    /// The argument with `{fds}`, `{fd0}`, `{fd1}`… replaced by the numbers of the descriptors.
    func fill(_ argument: String) throws(LeaseFailure) -> String {
        var filled = ""
        var rest = argument[...]
        while let open = rest.firstIndex(of: "{") {
            filled += rest[..<open]
            rest = rest[open...]
            guard let close = rest.firstIndex(of: "}"), let value = try value(of: rest[...close]) else {
                filled += "{"
                rest = rest.dropFirst()
                continue
            }
            filled += value
            rest = rest[rest.index(after: close)...]
        }
        return filled + rest
    }

    /// - Returns: `nil` if the text in braces is not a placeholder.
    private func value(of place: Substring) throws(LeaseFailure) -> String? {
        if place == "{fds}" { return queues.map { String($0.number) }.joined(separator: ":") }
        let digits = place.dropFirst(3).dropLast()
        guard place.hasPrefix("{fd"), !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else {
            return nil
        }
        guard let position = Int(digits), position < queues.count else {
            throw LeaseFailure(
                "\(place) does not exist: the lease has \(queues.count) "
                    + (queues.count == 1 ? "queue, {fd0}" : "queues, {fd0} to {fd\(queues.count - 1)}"))
        }
        return String(queues[position].number)
    }
}

/// Why there is no lease, as a message for users.
struct LeaseFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }

    static func refused(_ detail: String) -> LeaseFailure { LeaseFailure(detail) }

    static func silent(_ path: String) -> LeaseFailure {
        LeaseFailure("the daemon at \(path) did not answer within \(LeaseClient.answerSecondsMax) s")
    }

    static func broken(_ path: String) -> LeaseFailure {
        LeaseFailure("the daemon at \(path) closed the connection before it had sent all queues; see its log")
    }

    static func garbled(_ path: String) -> LeaseFailure {
        LeaseFailure("the answer of the server at \(path) is not a lease; is it Tapster's socket?")
    }

    static func miscounted(_ path: String) -> LeaseFailure {
        LeaseFailure("the numbers of descriptors and queues that the daemon at \(path) sent differ")
    }

    static func unreachable(_ path: String, _ errno: Errno) -> LeaseFailure {
        switch errno {
        case .noEntry:
            LeaseFailure("there is no socket at \(path): is the daemon running? --socket sets another path")
        case Errno(rawValue: ECONNREFUSED):
            LeaseFailure("no process listens at \(path): is the daemon running? --socket sets another path")
        case .accessDenied, .noPermission:
            LeaseFailure("no permission to use the socket \(path): are you in its group, usually 'tapster'?")
        case .invalid: LeaseFailure("'\(path)' is not the path of a socket: it is empty or too long")
        default: LeaseFailure("the socket \(path) cannot be used: \(errno)")
        }
    }
}
