import CLinux
import Foundation
import Glibc

/// A client that acquires a lease by the wire protocol and holds its queues and connection.
public final class LeaseHolder {
    /// A received line of the protocol.
    public struct Line {
        /// The line itself.
        public let text: String
        /// The line as JSON.
        public let json: [String: Any]
        /// The number of descriptors that came with it.
        public let descriptors: Int

        /// The field `queues`.
        public var queues: [Int] { json["queues"] as? [Int] ?? [] }
        /// The field `last`.
        public var isLast: Bool? { json["last"] as? Bool }
    }

    /// The lease was refused; with the daemon's answer, if there was one.
    public struct Refusal: Error, CustomStringConvertible {
        /// The HTTP status; 0 without an answer.
        public let status: Int
        /// The body, or the reason why there was no answer.
        public let text: String

        /// The problem's code.
        public var code: String? {
            let json = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            return json?["code"] as? String
        }
        /// Status and text.
        public var description: String { "no lease: \(status) \(text)" }
    }

    /// All received lines, in order.
    public private(set) var lines: [Line] = []
    /// The queues by their index in the device. Removed ones are closed.
    public var queues: [Int: Consumer] = [:]
    private let connection: Int32
    private var isOpen = true

    private static let descriptorsMax = 250

    /// Acquires a lease and waits until all queues have arrived.
    ///
    /// - Parameters:
    ///   - daemon: The daemon to ask.
    ///   - device: The device's name.
    ///   - query: For example `queues=0,1`.
    /// - Throws: `Refusal`.
    public init(_ daemon: Daemon, _ device: String, _ query: String = "") throws {
        connection = try HTTPClient.open(daemon.socket)
        var received = Data()
        var descriptors: [Int32] = []
        do {
            let request =
                "GET /v1/devices/\(device)/lease?\(query) HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                + "Upgrade: tapster-lease/1\r\n\r\n"
            guard send(connection, request, request.utf8.count, Int32(MSG_NOSIGNAL)) == request.utf8.count else {
                throw Refusal(status: 0, text: "not sent")
            }
            let end = try head(&received, &descriptors)
            while lines.last?.isLast != true {
                while received[end...].firstIndex(of: 0x0A) == nil { try receive(&received, &descriptors) }
                guard let newline = received[end...].firstIndex(of: 0x0A) else { break }
                try take(Data(received[end..<newline]), &descriptors)
                received.removeSubrange(end...newline)
            }
        } catch {
            for descriptor in descriptors { Glibc.close(descriptor) }
            throw error
        }
    }

    deinit {
        close()
    }

    /// Ends the lease. Copies of the queues stay open until they are released.
    public func close() {
        if isOpen { Glibc.close(connection) }
        isOpen = false
    }

    /// The lease's identifier.
    public var id: String { lines.first?.json["lease"] as? String ?? "" }
    /// The interface index.
    public var interfaceIndex: Int { lines.first?.json["ifindex"] as? Int ?? 0 }

    /// Whether the daemon has ended the lease, by closing the connection.
    public var isOver: Bool {
        var byte: UInt8 = 0
        let count = recv(connection, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK))
        return count == 0 || (count < 0 && errno != EAGAIN)
    }

    /// The offset of the first byte after the head.
    private func head(_ received: inout Data, _ descriptors: inout [Int32]) throws -> Int {
        let separator = Data("\r\n\r\n".utf8)
        while received.range(of: separator) == nil { try receive(&received, &descriptors) }
        guard let end = received.range(of: separator)?.upperBound else { return 0 }
        let words = String(decoding: received[..<end], as: UTF8.self).split(separator: " ", maxSplits: 2)
        let status = words.count > 1 ? Int(words[1]) ?? 0 : 0
        guard status != 101 else { return end }
        let text = String(decoding: received[..<end], as: UTF8.self).lowercased()
        let length = text.components(separatedBy: "content-length:").dropFirst().first
            .flatMap { Int($0.prefix(while: { $0 != "\r\n" }).trimmingCharacters(in: .whitespaces)) }
        while received.count < end + (length ?? 0) { try receive(&received, &descriptors) }
        throw Refusal(status: status, text: String(decoding: received[end...], as: UTF8.self))
    }

    /// A line's descriptors come with its first byte at the latest, so they have arrived when its last byte has.
    private func take(_ line: Data, _ descriptors: inout [Int32]) throws {
        let json = try JSONSerialization.jsonObject(with: line) as? [String: Any] ?? [:]
        let indexes = json["queues"] as? [Int] ?? []
        let came = Array(descriptors.prefix(indexes.count))
        descriptors.removeFirst(came.count)
        lines.append(Line(text: String(decoding: line, as: UTF8.self), json: json, descriptors: came.count))
        for (index, descriptor) in zip(indexes, came) { queues[index] = Consumer(owning: descriptor) }
    }

    private func receive(_ received: inout Data, _ descriptors: inout [Int32]) throws {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        var numbers = [Int32](repeating: -1, count: Self.descriptorsMax)
        var count = numbers.count
        var flags: Int32 = 0
        let bytes = clinux_receive_descriptors(connection, &buffer, buffer.count, &numbers, &count, nil, 0, &flags)
        guard bytes > 0 else { throw Refusal(status: 0, text: "the connection has ended") }
        guard flags & Int32(MSG_CTRUNC) == 0 else { throw TestFailure("descriptors were lost") }
        received.append(contentsOf: buffer[0..<bytes])
        descriptors += numbers[0..<count]
    }
}
