internal import Glibc
internal import TapCore
internal import TapDocument
internal import TapKernel
internal import TapSystem

/// Takes a lease by the wire protocol: an HTTP upgrade, then lines of JSON, each with its queues' descriptors.
struct LeaseClient {
    /// For all of the answer: with waiting for the device it takes milliseconds.
    static let answerSecondsMax = 30
    /// Of what comes before the lease is complete, a problem document included.
    private static let bytesMax = 1 << 20
    private static let readBytesMax = 65_536

    private let path: String
    private let connection: OwnedDescriptor
    private let deadline: ContinuousClock.Instant
    private var bytes: [UInt8] = []
    /// Those that came and belong to no line yet.
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

    /// Takes the queues; nothing means all that are free.
    mutating func lease(_ device: String, consumer: String?, queues: [Int]?) throws(LeaseFailure) -> HeldLease {
        var query: [String] = []
        if let consumer { query.append("consumer=\(Self.encoded(consumer))") }
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
            throw LeaseFailure("the server at \(path) speaks another protocol than \(LeaseMessage.protocolName)")
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

    /// Any bytes may come with descriptors, and one call with the answer's end and the first line.
    ///
    /// - Returns: Whether anything came; not at the end.
    private mutating func receive() throws(LeaseFailure) -> Bool {
        let message: ReceivedMessage
        do throws(Errno) {
            if try Poll.waitUntilReadable([connection.number], until: deadline).isEmpty { throw .wouldBlock }
            message = try DescriptorPassing.receive(
                upTo: Self.readBytesMax, from: connection.number, flags: Int32(MSG_DONTWAIT))
        } catch {
            switch error {
            case .wouldBlock: throw .silent(path)
            // What is lost is lost: a second try would get the bytes alone.
            case Errno(rawValue: EMSGSIZE):
                throw LeaseFailure("not all queues could be taken: is the limit of open files, 'ulimit -n', too small?")
            default: throw .broken(path)
            }
        }
        bytes += message.bytes
        descriptors += message.descriptors
        guard bytes.count <= Self.bytesMax else { throw .garbled(path) }
        return !message.bytes.isEmpty
    }

    /// - Returns: What comes before the separator, which is dropped.
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

    /// - Returns: The `detail` of a problem document (RFC 9457), or what the status line says.
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
        // Nothing follows that would be ours.
        guard descriptors.isEmpty, !queues.isEmpty else { throw .miscounted(path) }
        return HeldLease(connection: connection, queues: queues)
    }

    /// For a path's segment and a query's value: all but unreserved characters (RFC 3986).
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

/// Queues that are ours for as long as the connection is open.
struct HeldLease {
    let connection: OwnedDescriptor
    /// In the order in which they were handed over.
    let queues: [OwnedDescriptor]

    /// Leaves all of it to the program that replaces us.
    func passOn() throws(Errno) {
        try connection.passOn()
        for queue in queues { try queue.passOn() }
    }

    /// The argument with the numbers of the descriptors in the places of `{fds}`, `{fd0}`, `{fd1}`…
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

    /// - Returns: Nothing for braces that are not ours.
    private func value(of place: Substring) throws(LeaseFailure) -> String? {
        if place == "{fds}" { return queues.map { String($0.number) }.joined(separator: ":") }
        let digits = place.dropFirst(3).dropLast()
        guard place.hasPrefix("{fd"), !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else {
            return nil
        }
        guard let position = Int(digits), position < queues.count else {
            throw LeaseFailure(
                "there is no \(place): the lease has \(queues.count) "
                    + (queues.count == 1 ? "queue, {fd0}" : "queues, {fd0} to {fd\(queues.count - 1)}"))
        }
        return String(queues[position].number)
    }
}

/// Why there is no lease, for people.
struct LeaseFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }

    static func refused(_ detail: String) -> LeaseFailure { LeaseFailure(detail) }

    static func silent(_ path: String) -> LeaseFailure {
        LeaseFailure("the daemon at \(path) has not answered within \(LeaseClient.answerSecondsMax) s")
    }

    static func broken(_ path: String) -> LeaseFailure {
        LeaseFailure("the daemon at \(path) closed the connection before it had handed over all queues; see its log")
    }

    static func garbled(_ path: String) -> LeaseFailure {
        LeaseFailure("what the server at \(path) answered is no lease; is it Tapster's socket?")
    }

    static func miscounted(_ path: String) -> LeaseFailure {
        LeaseFailure("the daemon at \(path) sent another number of descriptors than of queues")
    }

    static func unreachable(_ path: String, _ errno: Errno) -> LeaseFailure {
        switch errno {
        case .noEntry:
            LeaseFailure("there is no socket at \(path): is the daemon running? --socket says where it listens")
        case Errno(rawValue: ECONNREFUSED):
            LeaseFailure("nobody listens at \(path): is the daemon running? --socket says where it listens")
        case .accessDenied, .noPermission:
            LeaseFailure("the socket \(path) may not be used: are you in its group, which usually is 'tapster'?")
        case .invalid: LeaseFailure("'\(path)' is no path of a socket: it is empty or too long")
        default: LeaseFailure("the socket \(path) cannot be used: \(errno)")
        }
    }
}
