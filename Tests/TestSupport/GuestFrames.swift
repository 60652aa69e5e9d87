import Glibc

/// Frames of a guest that configure hosts, as bytes of Ethernet.
public enum GuestFrames {
    /// The guest's MAC address.
    private static let mac: [UInt8] = [2, 0, 0, 0, 0, 0x66]
    private static let allNodes: [UInt8] = [0x33, 0x33, 0, 0, 0, 1]
    private static let linkLayerOption: [UInt8] = [2, 1] + mac

    /// A router advertisement (RFC 4861) with everything that a host may take from one: a default route, a prefix for
    /// addresses, a route (RFC 4191), an MTU, a hop limit.
    public static func routerAdvertisement() -> [UInt8] {
        let prefix = address("2001:db8:bad::")
        let body: [UInt8] =
            [7, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0]  // hop limit, flags, lifetime 1,800 s, timers
            + [3, 4, 64, 0xC0, 0, 0, 0x0E, 0x10, 0, 0, 0x0E, 0x10, 0, 0, 0, 0] + prefix
            + [24, 3, 48, 0, 0, 0, 0x0E, 0x10] + address("2001:db8:beef::")
            + [5, 1, 0, 0, 0, 0, 0x05, 0x14] + [1, 1] + mac  // MTU 1,300; source address
        return ipv6(134, body, from: "fe80::bad", to: "ff02::1", mac: allNodes)
    }

    /// A redirect of ICMPv6 by the router `from`: `destination` is reached by `target`.
    public static func redirect(_ destination: String, to target: String, from: String, host: String, mac: [UInt8])
        -> [UInt8]
    {
        ipv6(
            137, [0, 0, 0, 0] + address(target) + address(destination) + linkLayerOption, from: from, to: host, mac: mac
        )
    }

    /// A query for all multicast groups (MLD, RFC 2710).
    public static func multicastQuery() -> [UInt8] {
        ipv6(130, [0, 1, 0, 0] + address("::"), from: "fe80::bad", to: "ff02::1", mac: allNodes, hopLimit: 1)
    }

    /// An echo request to all hosts.
    public static func echoRequest() -> [UInt8] {
        ipv6(128, [0, 1, 0, 1], from: "fe80::bad", to: "ff02::1", mac: allNodes)
    }

    /// The answer to a duplicate address detection of `address`: the guest has it.
    public static func advertisement(of address: String) -> [UInt8] {
        ipv6(
            136, [0x20, 0, 0, 0] + self.address(address) + linkLayerOption, from: address, to: "ff02::1", mac: allNodes)
    }

    /// Whether a frame is a neighbour solicitation from the unspecified address, as duplicate address detection sends.
    public static func isProbe(_ frame: [UInt8], of address: String) -> Bool {
        frame.count >= 78 && isIPv6(frame) && frame[54] == 135 && frame[22..<38].allSatisfy { $0 == 0 }
            && Array(frame[62..<78]) == self.address(address)
    }

    /// Whether a frame is IPv6.
    public static func isIPv6(_ frame: [UInt8]) -> Bool { frame.count > 14 && frame[12] == 0x86 && frame[13] == 0xDD }

    /// A redirect of ICMP by the router `from`, about an echo reply of `host` to `destination`.
    public static func ipv4Redirect(
        _ destination: String, to target: String, from: String, host: String, mac: [UInt8]
    ) -> [UInt8] {
        let about = ipv4(1, [0, 0, 0, 0, 0, 1, 0, 1], from: host, to: destination)
        var icmp: [UInt8] = [5, 1, 0, 0] + address(target, AF_INET) + about
        put(checksum(icmp), into: &icmp, at: 2)
        return mac + self.mac + [8, 0] + ipv4(1, icmp, from: from, to: host)
    }

    private static func ipv4(_ next: UInt8, _ body: [UInt8], from: String, to: String) -> [UInt8] {
        var header: [UInt8] =
            [0x45, 0] + number(20 + body.count) + [0, 0, 0, 0, 64, next, 0, 0] + address(from, AF_INET)
            + address(to, AF_INET)
        put(checksum(header), into: &header, at: 10)
        return header + body
    }

    private static func ipv6(
        _ type: UInt8, _ body: [UInt8], from: String, to: String, mac: [UInt8], hopLimit: UInt8 = 255
    ) -> [UInt8] {
        var icmp: [UInt8] = [type, 0, 0, 0] + body
        let pseudo = address(from) + address(to) + [0, 0] + number(icmp.count) + [0, 0, 0, 58]
        put(checksum(pseudo + icmp), into: &icmp, at: 2)
        return mac + self.mac + [0x86, 0xDD] + [0x60, 0, 0, 0] + number(icmp.count) + [58, hopLimit]
            + address(from) + address(to) + icmp
    }

    private static func address(_ text: String, _ family: Int32 = AF_INET6) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        precondition(inet_pton(family, text, &bytes) == 1)
        return bytes
    }

    private static func number(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }

    private static func put(_ value: UInt16, into bytes: inout [UInt8], at place: Int) {
        (bytes[place], bytes[place + 1]) = (UInt8(value >> 8), UInt8(value & 0xFF))
    }

    /// The Internet checksum (RFC 1071).
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for place in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[place]) << 8 + (place + 1 < bytes.count ? UInt32(bytes[place + 1]) : 0)
        }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return ~UInt16(sum)
    }
}
