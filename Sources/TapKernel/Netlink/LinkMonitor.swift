internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// Receives notifications of changes to the namespace's links, their qdiscs and their addresses (`RTNLGRP_LINK`,
/// `RTNLGRP_TC`, `RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV6_IFADDR`). They are hints only: the state itself is read by
/// requests.
final class LinkMonitor {
    /// The kernel's default buffer holds the notifications of some 92 new links; this one, of more than 1,500.
    static let receiveBufferBytes: Int32 = 8 << 20

    private static let groups = [RTNLGRP_LINK, RTNLGRP_TC, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
    /// These messages and those about addresses have the interface's number at the same offset.
    private static let types: Set<Int32> = [
        Int32(RTM_NEWLINK), Int32(RTM_DELLINK), Int32(RTM_NEWQDISC), Int32(RTM_DELQDISC),
    ]
    private static let addressTypes: Set<Int32> = [Int32(RTM_NEWADDR), Int32(RTM_DELADDR)]

    private let descriptor: OwnedDescriptor
    private var buffer = [UInt8](repeating: 0, count: NetlinkSocket.datagramBytesMax)

    /// - Throws: EMFILE, ENFILE, ENOBUFS.
    init() throws(Errno) {
        descriptor = try Socket.open(AF_NETLINK, .raw, protocol: NETLINK_ROUTE, isNonBlocking: true)
        let number = descriptor.number
        // Beyond net.core.rmem_max this needs CAP_NET_ADMIN. Without it overruns are more frequent; `drain` handles
        // them.
        try? Socket.set(SO_RCVBUFFORCE, Self.receiveBufferBytes, on: number)
        // Joins the groups by bind(2), not by NETLINK_ADD_MEMBERSHIP: the kernel skips a socket that has no port yet.
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = Self.groups.reduce(0) { $0 | 1 << (UInt32($1.rawValue) - 1) }
        // SAFETY: a sockaddr_nl is what AF_NETLINK expects behind a sockaddr pointer (netlink(7)).
        try unsafe withUnsafePointer(to: &address) { pointer throws(Errno) in
            try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer throws(Errno) in
                _ = try systemCall { unsafe bind(number, pointer, socklen_t(MemoryLayout<sockaddr_nl>.size)) }
            }
        }
    }

    var number: Int32 { descriptor.number }

    /// Adds all pending notifications to `signals`.
    ///
    /// - Throws: Any error but EAGAIN, which means that none are left, and ENOBUFS, which means an overrun.
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
                    if Self.types.contains(type) {
                        let index = try LinkMessage.index(payload)
                        signals.touched.insert(index)
                        if type == Int32(RTM_DELLINK), try LinkMessage.isAboutLink(payload) {
                            signals.removed.insert(index)
                            signals.moved[index] = try LinkMessage.move(payload)
                        }
                        if type == Int32(RTM_NEWLINK), let count = try LinkMessage.attachedQueues(payload) {
                            signals.fewestQueues[index] = min(signals.fewestQueues[index] ?? count, count)
                        }
                    } else if Self.addressTypes.contains(type) {
                        signals.readdressed.insert(LinkIndex(rawValue: try payload.load(Int32.self, at: 4)))
                    }
                }
            } catch {
                // A malformed notification may have been about any link, as a lost one may.
                signals.wasOverrun = true
            }
        }
    }
}
