/// Ethernet frames as a guest writes them, each with the checksums that the host's network stack verifies.
public enum Frame {
    /// An IEEE 802 frame (RFC 894); padded to the smallest size.
    public static func ethernet(_ type: UInt16, to: [UInt8], from: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        pad(to + from + big(type) + payload)
    }

    /// An IEEE 802.3 frame with a length and an LLC header, as bridges send them.
    public static func logicalLink(to: [UInt8], from: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        pad(to + from + big(UInt16(payload.count)) + payload)
    }

    /// An IPv4 packet (RFC 791) with a TTL of one, as link-local protocols have it, or of 64.
    public static func ipv4(
        _ number: UInt8, from: [UInt8], to: [UInt8], ttl: UInt8 = 64, options: [UInt8] = [], _ payload: [UInt8]
    ) -> [UInt8] {
        let length = UInt16(20 + options.count + payload.count)
        var header: [UInt8] = [0x40 | UInt8(5 + options.count / 4), 0] + big(length) + [0, 1, 0, 0, ttl, number, 0, 0]
        header += from + to + options
        let sum = big(checksum(header))
        header.replaceSubrange(10...11, with: sum)
        return header + payload
    }

    /// A UDP datagram (RFC 768) without a checksum.
    public static func udp(from: UInt16, to: UInt16, _ payload: [UInt8]) -> [UInt8] {
        big(from) + big(to) + big(UInt16(8 + payload.count)) + [0, 0] + payload
    }

    /// An ICMP or IGMP message (RFC 792, RFC 2236), whose checksum is in its third and fourth byte.
    public static func summed(_ message: [UInt8]) -> [UInt8] {
        var message = message
        let sum = big(checksum(message))
        message.replaceSubrange(2...3, with: sum)
        return message
    }

    /// An ICMPv6 message in an IPv6 packet (RFC 4443), with a hop limit of 255 or, for MLD, a router alert and 1.
    public static func icmpv6(from: [UInt8], to: [UInt8], isMLD: Bool = false, _ message: [UInt8]) -> [UInt8] {
        let pseudo = from + to + big32(UInt32(message.count)) + [0, 0, 0, 58]
        var message = message
        let sum = big(checksum(pseudo + message))
        message.replaceSubrange(2...3, with: sum)
        let options: [UInt8] = isMLD ? [58, 0, 5, 2, 0, 0, 1, 0] : []
        return ipv6(isMLD ? 0 : 58, from: from, to: to, hops: isMLD ? 1 : 255, options + message)
    }

    /// An IPv6 packet (RFC 8200).
    public static func ipv6(_ next: UInt8, from: [UInt8], to: [UInt8], hops: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0x60, 0, 0, 0] + big(UInt16(payload.count)) + [next, hops] + from + to + payload
    }

    /// An ARP message (RFC 826) of Ethernet and IPv4; the operation is 1 for a request and 2 for a reply.
    public static func arp(
        _ operation: UInt8, from: ([UInt8], [UInt8]), to: ([UInt8], [UInt8])
    ) -> [UInt8] {
        [0, 1, 8, 0, 6, 4, 0, operation] + from.0 + from.1 + to.0 + to.1
    }

    /// An IPv6 address from up to eight groups; one of them may be `nil` for the zeros in the middle.
    public static func address(_ groups: UInt16?...) -> [UInt8] {
        let zeros = [UInt16](repeating: 0, count: 8 - groups.compactMap { $0 }.count)
        return groups.flatMap { group in group.map { [$0] } ?? zeros }.flatMap(big)
    }

    private static func pad(_ frame: [UInt8]) -> [UInt8] {
        frame + [UInt8](repeating: 0, count: max(0, 60 - frame.count))
    }

    /// In network byte order.
    public static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
    /// In network byte order.
    public static func big32(_ value: UInt32) -> [UInt8] { big(UInt16(value >> 16)) + big(UInt16(value & 0xFFFF)) }

    /// RFC 1071.
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for start in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[start]) << 8 | (start + 1 < bytes.count ? UInt32(bytes[start + 1]) : 0)
        }
        while sum >> 16 != 0 { sum = (sum & 0xFFFF) + sum >> 16 }
        return ~UInt16(sum)
    }
}
