internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// Why a request failed.
struct NetlinkRefusal: Error, Hashable {
    let errno: Errno
    /// The kernel's message (`NLMSGERR_ATTR_MSG`), or what was wrong with its answer; `nil` if there is none.
    let message: String?

    init(_ errno: Errno, message: String? = nil) {
        self.errno = errno
        self.message = message
    }
}

/// An rtnetlink socket for requests, in the namespace in which it was opened (rtnetlink(7)).
///
/// The kernel does the work of a request within `sendmsg`, so the answers are ready when that returns.
final class NetlinkSocket {
    /// The size of the buffer. The kernel sends dumps in datagrams of up to 32 KiB. One that is longer than the buffer
    /// would be truncated, which `MSG_TRUNC` detects.
    static let datagramBytesMax = 65_536
    /// Requests in one send. Their answers must fit into the receive buffer together.
    static let requestsPerSendMax = 32
    /// Changes in one send: more than other requests, since acknowledgements are small.
    static let changesPerSendMax = 96
    /// How often a dump is repeated if the kernel's state changes while it is read (`NLM_F_DUMP_INTR`).
    static let dumpAttemptsMax = 16

    private let descriptor: OwnedDescriptor
    private var sequence: UInt32 = 0
    private var buffer = [UInt8](repeating: 0, count: datagramBytesMax)
    /// Whether the last answer was not read to its end.
    private var hasLeftovers = false

    /// - Throws: EMFILE, ENFILE, ENOBUFS.
    init() throws(Errno) {
        descriptor = try Socket.open(AF_NETLINK, .raw, protocol: NETLINK_ROUTE)
        let number = descriptor.number
        // Errors with the kernel's message and without a copy of the request, and strict checking of GET requests.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            try Socket.set(option, level: SOL_NETLINK, Int32(1), on: number)
        }
    }

    /// The descriptor, for calls that read an interface's number or name, or the namespace's cookie: these accept any
    /// socket of the namespace.
    var number: Int32 { descriptor.number }

    /// All interfaces, or, if `wanted` is not `nil`, those of them that exist.
    func links(among wanted: Set<LinkIndex>?) throws(NetlinkRefusal) -> [ObservedLink] {
        try dump(.dump) { (payload) throws(MalformedNetlink) in
            if let wanted, !wanted.contains(try LinkMessage.index(payload)) { return nil }
            return try LinkMessage.decode(payload)
        }
    }

    /// All addresses.
    func addresses() throws(NetlinkRefusal) -> [(LinkIndex, ObservedAddress)] {
        try dump(.dumpAddresses) { (payload) throws(MalformedNetlink) in try AddressMessage.decode(payload) }
    }

    /// The bodies of the IPv6 routes that the kernel has made from router advertisements.
    func learnedRoutes(of index: LinkIndex) throws(NetlinkRefusal) -> [[UInt8]] {
        try dump(.dumpRoutes(index)) { (payload) throws(MalformedNetlink) in
            try RouteMessage.isLearned(payload) ? payload.byteArray() : nil
        }
    }

    /// The counters of all interfaces.
    func statistics() throws(NetlinkRefusal) -> [(LinkIndex, LinkStatistics)] {
        try dump(.dumpStatistics) { (payload) throws(MalformedNetlink) in try StatisticsMessage.decode(payload) }
    }

    /// Repeats the dump if the kernel's state changed while it was read.
    private func dump<Element>(
        _ request: LinkRequest, _ decode: (RawSpan) throws(MalformedNetlink) -> Element?
    ) throws(NetlinkRefusal) -> [Element] {
        for _ in 0..<Self.dumpAttemptsMax {
            var elements: [Element] = []
            var isWhole = true
            let first = try send([request])
            try receive { (header, payload) throws(NetlinkRefusal) in
                guard header.sequence == first else { return false }
                if header.isDumpInterrupted { isWhole = false }
                switch Int32(header.type) {
                // Both begin with an error number: a dump that fails midway ends with NLMSG_DONE and that number.
                case NLMSG_DONE, NLMSG_ERROR:
                    if let refusal = try Self.refusal(payload) { throw refusal }
                    return true
                default:
                    let element = try Self.parse { () throws(MalformedNetlink) in try decode(payload) }
                    if let element { elements.append(element) }
                    return false
                }
            }
            if isWhole { return elements }
        }
        throw NetlinkRefusal(.interrupted, message: "the kernel's state changed during each of several dumps")
    }

    /// Those of the given interfaces that exist.
    func get(_ indexes: [LinkIndex]) throws(NetlinkRefusal) -> [ObservedLink] {
        var links: [ObservedLink] = []
        for start in stride(from: 0, to: indexes.count, by: Self.requestsPerSendMax) {
            let batch = indexes[start..<min(start + Self.requestsPerSendMax, indexes.count)]
            links += try get(batch.map { .get($0) })
        }
        return links
    }

    /// An interface in another namespace; `nil` if it does not exist.
    func get(_ place: LinkMove) throws(NetlinkRefusal) -> ObservedLink? {
        try get([.get(place.index, in: place.namespace)]).first
    }

    private func get(_ batch: [LinkRequest]) throws(NetlinkRefusal) -> [ObservedLink] {
        var links: [ObservedLink] = []
        let first = try send(batch)
        var left = batch.count
        try receive { (header, payload) throws(NetlinkRefusal) in
            // Modular distance: skips answers to requests before this batch.
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
        return links
    }

    /// Makes changes, many in one send, and waits for their acknowledgements.
    ///
    /// - Returns: For each request, why it failed; `nil` if it was done.
    func change(_ requests: [LinkRequest]) -> [NetlinkRefusal?] {
        var refusals: [NetlinkRefusal?] = []
        refusals.reserveCapacity(requests.count)
        for start in stride(from: 0, to: requests.count, by: Self.changesPerSendMax) {
            let batch = Array(requests[start..<min(start + Self.changesPerSendMax, requests.count)])
            refusals += changeTogether(batch)
        }
        return refusals
    }

    private func changeTogether(_ batch: [LinkRequest]) -> [NetlinkRefusal?] {
        var refusals = [NetlinkRefusal?](repeating: nil, count: batch.count)
        var answered = [Bool](repeating: false, count: batch.count)
        var left = batch.count
        do throws(NetlinkRefusal) {
            let first = try send(batch)
            try receive { (header, payload) throws(NetlinkRefusal) in
                let place = Int(header.sequence &- first)
                guard place < batch.count, Int32(header.type) == NLMSG_ERROR, !answered[place] else { return false }
                refusals[place] = try Self.refusal(payload)
                answered[place] = true
                left -= 1
                return left == 0
            }
        } catch {
            // Unanswered changes may have been made or not: the next pass reads the state.
            for place in batch.indices where !answered[place] { refusals[place] = error }
        }
        return refusals
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
            if hasLeftovers { try discardLeftovers() }
            let number = descriptor.number
            // SAFETY: the kernel copies the array before send(2) returns.
            let sent = try systemCall { unsafe Glibc.send(number, bytes, bytes.count, 0) }
            guard sent == bytes.count else { throw Errno.badMessage }
        } catch {
            throw NetlinkRefusal(error)
        }
        return first
    }

    /// Reads the rest of the last answer: until then the kernel refuses other dumps (EBUSY).
    private func discardLeftovers() throws(Errno) {
        while true {
            let number = descriptor.number
            do throws(Errno) {
                // SAFETY: the kernel writes at most the array's bytes, during the call.
                try systemCall { unsafe recv(number, &buffer, Self.datagramBytesMax, MessageFlag.doNotWait) }
            } catch {
                guard error == .wouldBlock else { throw error }
                return hasLeftovers = false
            }
        }
    }

    /// Receives datagrams until `body` returns true: the answer is complete.
    private func receive(
        until body: (NetlinkHeader, RawSpan) throws(NetlinkRefusal) -> Bool
    ) throws(NetlinkRefusal) {
        var isComplete = false
        var failure: NetlinkRefusal?
        hasLeftovers = true
        while !isComplete, failure == nil {
            let number = descriptor.number
            let count: Int
            do throws(Errno) {
                count = try systemCall {
                    // SAFETY: the kernel writes at most the array's bytes, during the call.
                    unsafe recv(number, &buffer, Self.datagramBytesMax, MessageFlag.truncated)
                }
            } catch {
                throw NetlinkRefusal(error)
            }
            guard count <= Self.datagramBytesMax else {
                throw NetlinkRefusal(.badMessage, message: "the answer has \(count) bytes, more than the buffer")
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
        hasLeftovers = false
    }

    /// Decodes an `NLMSG_ERROR` or `NLMSG_DONE`; `nil` if it reports success.
    private static func refusal(_ payload: RawSpan) throws(NetlinkRefusal) -> NetlinkRefusal? {
        try parse { () throws(MalformedNetlink) in
            let code = try payload.load(Int32.self)
            guard code != 0 else { return nil }
            var message: String?
            // int32 error, then the header of the request, then attributes.
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
