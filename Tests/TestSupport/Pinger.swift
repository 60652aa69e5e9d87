import CLinux
import Foundation
import Glibc
import Synchronization

/// Sends echo requests at a steady pace, rotating through many source addresses, and counts the answers.
public final class Pinger {
    /// The size of each request on a tap: Ethernet, IPv4, the echo's header, and a number.
    public static let frameBytes = 14 + 20 + 8 + 4

    private let flows: Flows

    /// Starts sending, in the calling thread's network namespace.
    ///
    /// - Parameters:
    ///   - target: The address to ping; it needs a route back.
    ///   - network: The first three numbers of the source addresses.
    ///   - milliseconds: The interval.
    /// - Throws: `TestFailure` if the addresses cannot be assigned.
    public init(to target: String, from network: String, every milliseconds: Int) throws {
        try run("ip", "link", "set", "lo", "up")
        try run("ip", "route", "replace", "local", "\(network).0/24", "dev", "lo")
        flows = try Flows(from: inet_addr("\(network).0"), to: inet_addr(target))
        Thread.detachNewThread { [flows] in flows.send(every: Double(milliseconds) / 1_000) }
    }

    deinit {
        flows.end()
    }

    /// The number of answers so far.
    public var answers: Int { flows.state.withLock(\.answered.count) }

    /// Stops, after waiting for the last answers.
    ///
    /// - Returns: The number of requests, and the numbers of the unanswered ones.
    public func finish() -> (sent: Int, lost: [UInt32]) {
        flows.end()
        flows.receive(until: Date(timeIntervalSinceNow: 5), orAllAre: true)
        return flows.state.withLock { state in
            (Int(state.sent), (0..<state.sent).filter { !state.answered.contains($0) })
        }
    }
}

/// The state shared by the sending thread and the object that stops it.
private final class Flows: Sendable {
    struct State {
        var sent: UInt32 = 0
        var answered: Set<UInt32> = []
        var isEnding = false
    }

    let state = Mutex(State())
    private let hasEnded = DispatchSemaphore(value: 0)
    private let source: in_addr_t
    private let target: in_addr_t
    // A raw socket belongs to the namespace in which it was created, whichever thread uses it.
    private let sender: Int32
    private let receiver: Int32

    private static let identifier: [UInt8] = [0x74, 0x61]

    init(from source: in_addr_t, to target: in_addr_t) throws {
        self.source = source
        self.target = target
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        sender = socket(AF_INET, type, Int32(IPPROTO_RAW))
        receiver = socket(AF_INET, type, Int32(IPPROTO_ICMP))
        guard sender >= 0, receiver >= 0 else { throw TestFailure("raw socket: \(String(cString: strerror(errno)))") }
    }

    deinit {
        close(sender)
        close(receiver)
    }

    /// Waits until the thread has ended.
    func end() {
        state.withLock { $0.isEnding = true }
        hasEnded.wait()
        // For later callers.
        hasEnded.signal()
    }

    func send(every seconds: Double) {
        var next = Date()
        while !state.withLock(\.isEnding) {
            sendOne()
            next += seconds
            receive(until: next)
        }
        hasEnded.signal()
    }

    private func sendOne() {
        let number = state.withLock { state in
            state.sent += 1
            return state.sent - 1
        }
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
        // Version 4 with five words; the kernel fills in length, identifier and checksum (raw(7)).
        var packet: [UInt8] = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, UInt8(IPPROTO_ICMP), 0, 0]
        // Addresses are in network byte order: the last byte of the source runs from 1 to 254.
        packet += bytes(source | (1 + number % 254).bigEndian) + bytes(target)
        packet += Self.echoRequest(bytes(number.bigEndian))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = target
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(sender, packet, packet.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// RFC 792, with the checksum of RFC 1071.
    private static func echoRequest(_ data: [UInt8]) -> [UInt8] {
        var bytes = [8, 0, 0, 0] + identifier + [0, 0] + data
        var sum = stride(from: 0, to: bytes.count, by: 2).reduce(0) { $0 + Int(bytes[$1]) << 8 + Int(bytes[$1 + 1]) }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        bytes[2] = UInt8(~sum >> 8 & 0xFF)
        bytes[3] = UInt8(~sum & 0xFF)
        return bytes
    }

    /// Counts answers until the deadline, or until all requests are answered.
    func receive(until time: Date, orAllAre: Bool = false) {
        while time > Date(), !orAllAre || state.withLock({ $0.answered.count < Int($0.sent) }) {
            var poll = pollfd(fd: receiver, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, Int32(time.timeIntervalSinceNow * 1_000) + 1) == 1 else { continue }
            // An IP header without options, the echo's header, our number.
            var buffer = [UInt8](repeating: 0, count: 1_500)
            guard recv(receiver, &buffer, buffer.count, Int32(MSG_DONTWAIT)) >= 32, buffer[20] == 0,
                Array(buffer[24..<26]) == Self.identifier
            else { continue }
            let number = buffer[28..<32].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            state.withLock { _ = $0.answered.insert(number) }
        }
    }
}
