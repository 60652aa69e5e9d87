internal import CLinux
internal import Glibc
internal import TapCore

/// What the kernel answered to one request.
struct NetlinkRefusal: Error, Hashable {
    let errno: Errno
    /// The kernel's own words (`NLMSGERR_ATTR_MSG`), where it has some.
    let message: String?

    init(_ errno: Errno, message: String? = nil) {
        self.errno = errno
        self.message = message
    }
}

/// A request-and-answer rtnetlink socket of the namespace in which it was opened (rtnetlink(7)).
///
/// The kernel does the work of a request within `sendmsg`, so answers wait already when it returns.
final class NetlinkSocket {
    /// The kernel fills dumps up to 32 KiB at a time; a longer datagram is cut, and told by `MSG_TRUNC`.
    static let datagramBytesMax = 65_536
    /// Requests in one send. Their answers must fit into the receive buffer together.
    static let requestsPerSendMax = 32
    /// A dump that changes while it is read begins again, this often.
    static let dumpAttemptsMax = 16

    private let descriptor: FileDescriptor
    private var sequence: UInt32 = 0
    private var buffer = [UInt8](repeating: 0, count: datagramBytesMax)

    /// - Throws: EMFILE, ENFILE, ENOBUFS.
    init() throws(Errno) {
        descriptor = try FileDescriptor(netlink: SOCK_RAW_FLAGS)
        let number = descriptor.number
        // Errors in the kernel's words, without a copy of the request; and requests that are read to the letter.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            try setOption(number, level: SOL_NETLINK, option: option, value: 1)
        }
    }

    /// Any socket tells an interface's number and name, and its namespace's cookie.
    var number: Int32 { descriptor.number }

    /// All interfaces. A dump that the kernel could not give in one piece is asked for again.
    func dump() throws(NetlinkRefusal) -> [ObservedLink] {
        for _ in 0..<Self.dumpAttemptsMax {
            var links: [ObservedLink] = []
            var isWhole = true
            let first = try send([.dump])
            try receive { (header, payload) throws(NetlinkRefusal) in
                guard header.sequence == first else { return false }
                if header.isDumpInterrupted { isWhole = false }
                switch Int32(header.type) {
                // Both begin with an error number: of a dump that ended before its end, too.
                case NLMSG_DONE, NLMSG_ERROR:
                    if let refusal = try Self.refusal(payload) { throw refusal }
                    return true
                default:
                    let link = try Self.parse { () throws(MalformedNetlink) in try LinkMessage.decode(payload) }
                    if let link { links.append(link) }
                    return false
                }
            }
            if isWhole { return links }
        }
        throw NetlinkRefusal(.interrupted, message: "the interfaces changed during each of many dumps")
    }

    /// Those of the given interfaces that exist.
    func get(_ indexes: [LinkIndex]) throws(NetlinkRefusal) -> [ObservedLink] {
        var links: [ObservedLink] = []
        for start in stride(from: 0, to: indexes.count, by: Self.requestsPerSendMax) {
            let batch = indexes[start..<min(start + Self.requestsPerSendMax, indexes.count)]
            let first = try send(batch.map { .get($0) })
            var left = batch.count
            try receive { (header, payload) throws(NetlinkRefusal) in
                // Modular distance: answers to anything older than this batch are not ours.
                guard header.sequence &- first < UInt32(batch.count) else { return false }
                left -= 1
                if Int32(header.type) == NLMSG_ERROR {
                    if let refusal = try Self.refusal(payload), refusal.errno != .noDevice { throw refusal }
                } else if let link = try Self.parse({ () throws(MalformedNetlink) in
                    try LinkMessage.decode(payload)
                }) {
                    links.append(link)
                }
                return left == 0
            }
        }
        return links
    }

    /// Makes a change, and waits for its acknowledgement.
    func change(_ request: LinkRequest) throws(NetlinkRefusal) {
        let sequence = try send([request])
        try receive { (header, payload) throws(NetlinkRefusal) in
            guard header.sequence == sequence, Int32(header.type) == NLMSG_ERROR else { return false }
            if let refusal = try Self.refusal(payload) { throw refusal }
            return true
        }
    }

    /// - Returns: The sequence number of the first request; the others follow it.
    private func send(_ requests: [LinkRequest]) throws(NetlinkRefusal) -> UInt32 {
        var writer = NetlinkWriter()
        let first = sequence &+ 1
        for request in requests {
            sequence &+= 1
            request.encode(into: &writer, sequence: sequence)
        }
        let bytes = writer.bytes
        do throws(Errno) {
            let number = descriptor.number
            // SAFETY: the kernel copies the array before send(2) returns.
            let sent = try systemCall { unsafe Glibc.send(number, bytes, bytes.count, 0) }
            guard sent == bytes.count else { throw Errno.badMessage }
        } catch {
            throw NetlinkRefusal(error)
        }
        return first
    }

    /// Receives datagrams until `body` says that the answer is complete.
    private func receive(
        until body: (NetlinkHeader, RawSpan) throws(NetlinkRefusal) -> Bool
    ) throws(NetlinkRefusal) {
        var isComplete = false
        var failure: NetlinkRefusal?
        while !isComplete, failure == nil {
            let number = descriptor.number
            let count: Int
            do throws(Errno) {
                count = try systemCall {
                    // SAFETY: the kernel writes at most the array's bytes, during the call.
                    unsafe recv(number, &buffer, Self.datagramBytesMax, Int32(MSG_TRUNC))
                }
            } catch {
                throw NetlinkRefusal(error)
            }
            guard count <= Self.datagramBytesMax else {
                throw NetlinkRefusal(.badMessage, message: "an answer of \(count) bytes")
            }
            let datagram = buffer
            do throws(MalformedNetlink) {
                // SAFETY: bytes are initialised, and every bit pattern is a byte.
                try unsafe walkMessages(datagram.span.bytes.extracting(0..<count)) { (header, payload) in
                    guard !isComplete, failure == nil else { return }
                    do throws(NetlinkRefusal) { isComplete = try body(header, payload) } catch { failure = error }
                }
            } catch {
                throw NetlinkRefusal(.badMessage, message: error.reason)
            }
        }
        if let failure { throw failure }
    }

    /// Reads an `NLMSG_ERROR`: nothing when it is an acknowledgement.
    private static func refusal(_ payload: RawSpan) throws(NetlinkRefusal) -> NetlinkRefusal? {
        try parse { () throws(MalformedNetlink) in
            let code = try payload.load(Int32.self)
            guard code != 0 else { return nil }
            var message: String?
            // int32 error, then the header of the request, then the kernel's words.
            if payload.byteCount >= 4 + NetlinkHeader.bytes {
                try walkAttributes(payload, from: 4 + NetlinkHeader.bytes) { (type, value) in
                    if type == Int(NLMSGERR_ATTR_MSG.rawValue) { message = value.text() }
                }
            }
            return NetlinkRefusal(Errno(rawValue: -code), message: message)
        }
    }

    private static func parse<Value: ~Copyable>(
        _ body: () throws(MalformedNetlink) -> Value
    ) throws(NetlinkRefusal) -> Value {
        do throws(MalformedNetlink) {
            return try body()
        } catch {
            throw NetlinkRefusal(.badMessage, message: error.reason)
        }
    }
}

/// Hears of every change to a link of the namespace, its qdisc included (`RTNLGRP_LINK`, `RTNLGRP_TC`). What it hears is a hint; the truth is asked for.
final class LinkMonitor {
    /// The default buffer holds some 92 creations; this one holds more than 1,500.
    static let receiveBufferBytes: Int32 = 8 << 20

    /// All of them keep the interface's number in the same place.
    private static let types: Set<Int32> = [
        Int32(RTM_NEWLINK), Int32(RTM_DELLINK), Int32(RTM_NEWQDISC), Int32(RTM_DELQDISC),
    ]

    private let descriptor: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: NetlinkSocket.datagramBytesMax)

    /// - Throws: EMFILE, ENFILE, ENOBUFS.
    init() throws(Errno) {
        descriptor = try FileDescriptor(netlink: SOCK_RAW_FLAGS | Int32(SOCK_NONBLOCK.rawValue))
        let number = descriptor.number
        // Beyond net.core.rmem_max this needs CAP_NET_ADMIN; without it, an overrun comes sooner and is handled.
        try? setOption(number, level: SOL_SOCKET, option: SO_RCVBUFFORCE, value: Self.receiveBufferBytes)
        // Joining by bind(2), not by NETLINK_ADD_MEMBERSHIP: the kernel passes over a socket that has no port yet.
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = 1 << (UInt32(RTNLGRP_LINK.rawValue) - 1) | 1 << (UInt32(RTNLGRP_TC.rawValue) - 1)
        // SAFETY: a sockaddr_nl is what AF_NETLINK expects behind a sockaddr pointer (netlink(7)).
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(number, pointer, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard bound == 0 else { throw Errno(rawValue: clinux_errno()) }
    }

    var number: Int32 { descriptor.number }

    /// Adds all that waits to `signals`.
    ///
    /// - Throws: Anything but EAGAIN and ENOBUFS, which are the end and an overrun.
    func drain(into signals: inout KernelSignals) throws(Errno) {
        while true {
            let number = descriptor.number
            let count: Int
            do throws(Errno) {
                // SAFETY: the kernel writes at most the array's bytes, during the call.
                count = try systemCall { unsafe recv(number, &buffer, NetlinkSocket.datagramBytesMax, 0) }
            } catch {
                if error == .wouldBlock { return }
                guard error == .noBufferSpace else { throw error }
                signals.wasOverrun = true
                continue
            }
            let datagram = buffer
            do {
                // SAFETY: bytes are initialised, and every bit pattern is a byte.
                try unsafe walkMessages(datagram.span.bytes.extracting(0..<count)) {
                    (header, payload) throws(MalformedNetlink) in
                    let type = Int32(header.type)
                    guard Self.types.contains(type) else { return }
                    signals.touched.insert(try LinkMessage.index(payload))
                }
            } catch {
                // What cannot be read may have said anything, just like what was lost.
                signals.wasOverrun = true
            }
        }
    }
}

private let SOCK_RAW_FLAGS = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

extension FileDescriptor {
    fileprivate init(netlink type: Int32) throws(Errno) {
        self.init(owning: try systemCall { socket(AF_NETLINK, type, NETLINK_ROUTE) })
    }
}

private func setOption(_ socket: Int32, level: Int32, option: Int32, value: Int32) throws(Errno) {
    var value = value
    // SAFETY: the kernel reads the number during the call.
    try systemCall { unsafe setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) }
}
