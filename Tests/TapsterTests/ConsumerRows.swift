import TestSupport

/// One thing that a consumer may do with its queues.
struct ConsumerRow: Sendable {
    /// What it is about: the place of a consumer in the network.
    struct Place: Sendable {
        /// The host's MAC address and addresses as the guest sees them.
        let hostMAC: [UInt8]
        let host: [UInt8]
        let guest: [UInt8]
    }

    enum Action: Sendable {
        /// It writes frames.
        case frames(@Sendable (Place) -> [[UInt8]])
        /// It calls ioctl(2) with a number, and with a value or with a pointer to these bytes.
        case control(UInt, Argument)
    }

    enum Argument: Sendable {
        case value(UInt)
        case bytes([UInt8])
    }

    /// What the consumer does.
    let name: String
    let action: Action

    init(_ name: String, _ action: Action) {
        self.name = name
        self.action = action
    }

    static let guestMAC: [UInt8] = [0x02, 0, 0, 0, 0xAA, 0x02]
}

// MARK: Frames

extension ConsumerRow {
    private static let linkLocal = Frame.address(0xFE80, nil, 2)
    private static let unspecified = [UInt8](repeating: 0, count: 16)
    private static let allNodes = Frame.address(0xFF02, nil, 1)
    /// A host behind the interface `side0`, and its neighbour entry there.
    private static let side4: [UInt8] = [10, 2, 0, 7]
    private static let side6 = Frame.address(0xFD00, 2, nil, 7)
    /// The host's own addresses on `side0`.
    private static let own4: [UInt8] = [10, 2, 0, 1]
    private static let own6 = Frame.address(0xFD00, 2, nil, 1)

    private static func multicast(of address: [UInt8]) -> [UInt8] { [0x33, 0x33] + address.suffix(4) }

    /// An ICMPv6 message to a multicast or the host's address.
    private static func icmpv6(
        _ name: String, from: [UInt8] = linkLocal, to: [UInt8]? = allNodes, isMLD: Bool = false, _ message: [UInt8]
    ) -> ConsumerRow {
        ConsumerRow(
            name,
            .frames { place in
                [
                    Frame.ethernet(
                        0x86DD, to: to.map(multicast) ?? place.hostMAC, from: guestMAC,
                        Frame.icmpv6(from: from, to: to ?? own6, isMLD: isMLD, message))
                ]
            })
    }

    /// A Router Advertisement (RFC 4861, section 4.2) with a lifetime in seconds and options.
    private static func advertisement(_ name: String, lifetime: UInt16, _ options: [UInt8] = []) -> ConsumerRow {
        icmpv6(
            "Router Advertisement: " + name,
            [134, 0, 0, 0, 64, 0] + Frame.big(lifetime) + [0, 0, 0, 0, 0, 0, 0, 0] + options)
    }

    /// An ARP message, broadcast unless it goes to the host.
    private static func arp(
        _ name: String, _ operation: UInt8, isToHost: Bool = false, from: @escaping @Sendable (Place) -> [UInt8],
        to: @escaping @Sendable (Place) -> [UInt8]
    ) -> ConsumerRow {
        ConsumerRow(
            "ARP " + name,
            .frames { place in
                let target = isToHost ? place.hostMAC : [UInt8](repeating: 0xFF, count: 6)
                return [
                    Frame.ethernet(
                        0x0806, to: target, from: guestMAC,
                        Frame.arp(operation, from: (guestMAC, from(place)), to: (target, to(place))))
                ]
            })
    }

    /// An IPv4 packet to the host or to a group.
    private static func ipv4(
        _ name: String, _ number: UInt8, to group: [UInt8]? = nil, ttl: UInt8 = 64, options: [UInt8] = [],
        _ payload: @escaping @Sendable (Place) -> [UInt8]
    ) -> ConsumerRow {
        ConsumerRow(
            name,
            .frames { place in
                let target = group.map { [0x01, 0, 0x5E, $0[1] & 0x7F, $0[2], $0[3]] } ?? place.hostMAC
                return [
                    Frame.ethernet(
                        0x0800, to: target, from: guestMAC,
                        Frame.ipv4(
                            number, from: place.guest, to: group ?? place.host, ttl: ttl, options: options,
                            payload(place)))
                ]
            })
    }

    /// The head of a UDP datagram that the host might have sent, as ICMP errors quote it.
    private static func quoted(_ place: Place, to: [UInt8]) -> [UInt8] {
        Frame.ipv4(17, from: own4, to: to, Frame.udp(from: 40_000, to: 53, []))
    }

    private static let option = (
        // RFC 4861, section 4.6; RFC 4191; RFC 8106.
        prefix: [3, 4, 64, 0xC0] + Frame.big32(86_400) + Frame.big32(86_400) + [0, 0, 0, 0]
            + Frame.address(0xFD00, 0x666, nil, 0),
        route: [24, 3, 64, 0] + Frame.big32(86_400) + Frame.address(0xFD00, 0x667, nil, 0),
        mtu: [5, 1, 0, 0] + Frame.big32(1_280),
        dns: [25, 3, 0, 0] + Frame.big32(86_400) + Frame.address(0xFD00, 0x666, nil, 53),
        linkLayer: [1, 1] + guestMAC
    )

    static let routerAdvertisements = [
        advertisement("default route", lifetime: 1_800, option.linkLayer),
        advertisement("prefix with autoconfiguration", lifetime: 0, option.prefix),
        advertisement("more specific route", lifetime: 0, option.route),
        advertisement("MTU", lifetime: 0, option.mtu),
        advertisement("DNS server", lifetime: 1_800, option.dns),
    ]

    static let neighbours = [
        icmpv6(
            "Neighbour Solicitation in the name of another interface's neighbour", from: side6, to: nil,
            [135, 0, 0, 0, 0, 0, 0, 0] + own6 + [1, 1] + guestMAC),
        icmpv6(
            "Neighbour Advertisement, unsolicited, override", from: side6,
            [136, 0, 0, 0, 0x20, 0, 0, 0] + side6 + [2, 1] + guestMAC),
        icmpv6(
            "answer to duplicate address detection of another interface's address", from: own6,
            [136, 0, 0, 0, 0x20, 0, 0, 0] + own6 + [2, 1] + guestMAC),
        icmpv6(
            "duplicate address detection of another interface's address", from: unspecified,
            to: Frame.address(0xFF02, nil, 1, 0xFF00, 1), [135, 0, 0, 0, 0, 0, 0, 0] + own6),
        icmpv6(
            "IPv6 redirect", to: nil, [137, 0, 0, 0, 0, 0, 0, 0] + linkLocal + side6 + [2, 1] + guestMAC),
        arp("request in the name of another interface's neighbour", 1, from: { _ in side4 }, to: { $0.host }),
        arp(
            "reply in the name of another interface's neighbour", 2, isToHost: true, from: { _ in side4 },
            to: { $0.host }),
        arp("announcement of another interface's neighbour", 1, from: { _ in side4 }, to: { _ in side4 }),
        arp("announcement of the host's address", 1, from: { _ in own4 }, to: { _ in own4 }),
        arp("probe of the host's address", 1, from: { _ in [0, 0, 0, 0] }, to: { _ in own4 }),
    ]

    static let packets = [
        ipv4("IPv4 redirect", 1) { Frame.summed([5, 1, 0, 0] + $0.guest + quoted($0, to: side4)) },
        ipv4("ICMP: fragmentation needed", 1) { Frame.summed([3, 4, 0, 0, 0, 0, 2, 0x28] + quoted($0, to: side4)) },
        ipv4("ICMP: host unreachable", 1) { Frame.summed([3, 1, 0, 0, 0, 0, 0, 0] + quoted($0, to: side4)) },
        ipv4("source route", 17, options: [131, 7, 4] + side4 + [0]) { _ in Frame.udp(from: 1, to: 9, [0]) },
        ipv4("DHCP offer", 17) { place in
            Frame.udp(
                from: 67, to: 68,
                [2, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 10, 66, 0, 2] + place.guest
                    + [UInt8](repeating: 0, count: 4 + 16 + 64 + 128) + [99, 130, 83, 99, 53, 1, 2, 255])
        },
        ipv4("IGMP query", 2, to: [224, 0, 0, 1], ttl: 1) { _ in Frame.summed([0x11, 1, 0, 0, 0, 0, 0, 0]) },
        ipv4("IGMP report", 2, to: [239, 1, 1, 1], ttl: 1) { _ in Frame.summed([0x16, 0, 0, 0, 239, 1, 1, 1]) },
        ipv4("IGMP leave", 2, to: [224, 0, 0, 2], ttl: 1) { _ in Frame.summed([0x17, 0, 0, 0, 239, 1, 1, 1]) },
        icmpv6("MLD query", isMLD: true, [130, 0, 0, 0, 0, 1, 0, 0] + unspecified),
        icmpv6(
            "MLD report", to: Frame.address(0xFF02, nil, 22), isMLD: true,
            [143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0] + Frame.address(0xFF05, nil, 0x666)),
        icmpv6(
            "ICMPv6: packet too big", to: nil,
            [2, 0, 0, 0] + Frame.big32(1_280)
                + Frame.ipv6(17, from: own6, to: side6, hops: 64, [UInt8](repeating: 0, count: 8))),
        raw(
            "LLDP", to: [0x01, 0x80, 0xC2, 0, 0, 0x0E], 0x88CC,
            [2, 7, 4] + guestMAC + [4, 2, 7, 1, 6, 2, 0, 120, 0, 0]),
        raw("PAUSE", to: [0x01, 0x80, 0xC2, 0, 0, 1], 0x8808, [0, 1, 0xFF, 0xFF]),
        raw(
            "802.1Q", to: guestMAC, 0x8100, [0, 7, 8, 6] + Frame.arp(1, from: (guestMAC, side4), to: (guestMAC, own4))),
        raw("EAPOL", to: [0x01, 0x80, 0xC2, 0, 0, 3], 0x888E, [1, 1, 0, 0]),
        ConsumerRow(
            "spanning tree, as the root",
            .frames { _ in
                [
                    Frame.logicalLink(
                        to: [0x01, 0x80, 0xC2, 0, 0, 0], from: guestMAC,
                        [0x42, 0x42, 3, 0, 0, 0, 0, 1, 0, 0] + guestMAC + [0, 0, 0, 0, 0, 0] + guestMAC
                            + [0x80, 1, 0, 0, 20, 0, 2, 0, 15, 0])
                ]
            }),
        ConsumerRow(
            "a frame from the host's own MAC address",
            .frames {
                [
                    Frame.ethernet(
                        0x0806, to: [255, 255, 255, 255, 255, 255], from: $0.hostMAC,
                        Frame.arp(1, from: ($0.hostMAC, own4), to: (guestMAC, side4)))
                ]
            }),
    ]

    private static func raw(_ name: String, to: [UInt8], _ type: UInt16, _ payload: [UInt8]) -> ConsumerRow {
        ConsumerRow(name, .frames { _ in [Frame.ethernet(type, to: to, from: guestMAC, payload)] })
    }
}

// MARK: ioctls

extension ConsumerRow {
    private static func number(_ value: Int32) -> Argument { .bytes(withUnsafeBytes(of: value) { Array($0) }) }

    /// `struct ifreq`: a name, and a union of 24 bytes.
    private static func request(_ union: [UInt8]) -> Argument {
        .bytes([UInt8](repeating: 0, count: 16) + union + [UInt8](repeating: 0, count: 24 - union.count))
    }

    /// The numbers are those of `linux/if_tun.h` and `linux/sockios.h`.
    static let controls = [
        ConsumerRow("TUNSETOWNER", .control(0x4004_54CC, .value(65_534))),
        ConsumerRow("TUNSETGROUP", .control(0x4004_54CE, .value(65_534))),
        ConsumerRow("TUNSETPERSIST off", .control(0x4004_54CB, .value(0))),
        // Flags, count, and one address that no packet has.
        ConsumerRow("TUNSETTXFILTER", .control(0x4004_54D1, .bytes([0, 0, 1, 0, 2, 255, 255, 255, 255, 254]))),
        ConsumerRow("TUNSETVNETHDRSZ 20", .control(0x4004_54D8, number(20))),
        ConsumerRow("TUNSETVNETLE", .control(0x4004_54DC, number(1))),
        ConsumerRow("TUNSETVNETBE", .control(0x4004_54DE, number(1))),
        ConsumerRow("TUNSETOFFLOAD none", .control(0x4004_54D0, .value(0))),
        ConsumerRow("TUNSETSNDBUF 1", .control(0x4004_54D4, number(1))),
        ConsumerRow("TUNSETCARRIER off", .control(0x4004_54E2, number(0))),
        ConsumerRow("TUNSETCARRIER on", .control(0x4004_54E2, number(1))),
        ConsumerRow("TUNSETQUEUE detach", .control(0x4004_54D9, request([0, 4]))),
        ConsumerRow("TUNSETLINK", .control(0x4004_54CD, .value(801))),
        ConsumerRow("TUNSETNOCSUM", .control(0x4004_54C8, .value(1))),
        ConsumerRow("TUNSETDEBUG", .control(0x4004_54C9, .value(1))),
        // IFF_TAP, IFF_NO_PI, IFF_VNET_HDR and IFF_MULTI_QUEUE, on a descriptor that is attached already.
        ConsumerRow("TUNSETIFF again", .control(0x4004_54CA, request([0x02, 0x51]))),
        ConsumerRow("TUNSETIFINDEX", .control(0x4004_54DA, number(4_711))),
        ConsumerRow("SIOCSIFHWADDR", .control(0x8924, request([1, 0, 0, 0, 0, 0, 0, 1]))),
    ]
}
