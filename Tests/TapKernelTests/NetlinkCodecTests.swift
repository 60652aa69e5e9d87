import TapCore
import TestSupport
import Testing

@testable import TapKernel

@Suite struct NetlinkCodecTests {
    private func decode(_ datagram: [UInt8]) throws(MalformedNetlink) -> [ObservedLink] {
        var links: [ObservedLink] = []
        try walkMessages(datagram.span.bytes) { (_, payload) throws(MalformedNetlink) in
            if let link = try LinkMessage.decode(payload) { links.append(link) }
        }
        return links
    }

    @Test func readsARealLink() throws {
        let link = try #require(try decode(Golden.newLink).first)
        #expect(link.index == LinkIndex(rawValue: 2))
        #expect(link.name == "web0")
        #expect(link.altNames == ["frontend"])
        #expect(link.kind == "tun")
        #expect(link.up)
        #expect(link.mtu == 9_000)
        #expect(link.macAddress == (try MACAddress("02:00:00:00:00:01")))
        #expect(link.transmitQueueLength == 500)
        #expect(link.queueDiscipline == "noqueue")
        #expect(link.operationalState == .down)
        #expect(!link.carrier)
        #expect(link.attributes == [.gsoMaxBytes(.standard), .gsoIPv4MaxBytes(.standard)])
        #expect(
            link.ip
                == IPSettings(
                    acceptsIPv4Redirects: 1,
                    ipv6: IPv6Settings(
                        addressGeneration: 0, acceptsRouterAdvertisements: 1, autoconfiguration: 1,
                        acceptsRedirects: 1, isDisabled: 0)))
        let tun = try #require(link.tun)
        #expect(tun.kind == .tap)
        #expect(tun.owner == 1_000)
        #expect(tun.group == nil)
        #expect(tun.persistent && tun.multiQueue && tun.vnetHeader && !tun.packetInfo)
        #expect(tun.attachedQueues == 0)
        #expect(tun.detachedQueues == 0)
    }

    @Test func headerIsRead() throws {
        var headers: [NetlinkHeader] = []
        try walkMessages((Golden.newLink + Golden.newLink).span.bytes) { (header, _) in headers.append(header) }
        #expect(headers.count == 2)
        #expect(headers.allSatisfy { $0.type == 16 && $0.sequence == 7 && !$0.isDumpInterrupted })
    }

    @Test func writesADump() {
        var writer = NetlinkWriter()
        LinkRequest.dump.encode(into: &writer, sequence: 0x0102_0304)
        // length 40, RTM_GETLINK 18, NLM_F_REQUEST|DUMP 0x301, sequence, port; ifinfomsg; IFLA_EXT_MASK 29 = 8.
        #expect(
            writer.bytes
                == Golden.bytes(
                    "28000000 1200 0103 04030201 00000000 00000000 00000000 00000000 00000000 0800 1d00 08000000"))
    }

    /// An `RTM_DELLINK`: `struct ifinfomsg`, and IFLA_NEW_NETNSID 45 and IFLA_NEW_IFINDEX 49 if it was moved.
    @Test func readsAMove() throws {
        let head = "00000100 05000000 00000000 00000000"
        func move(_ text: String) throws -> LinkMove? { try LinkMessage.move(Golden.bytes(text).span.bytes) }
        #expect(try move(head) == nil)
        #expect(
            try move(head + " 0800 2d00 03000000 0800 3100 09000000")
                == LinkMove(namespace: 3, index: LinkIndex(rawValue: 9)))
        #expect(
            try move(head + " 0800 2d00 03000000") == LinkMove(namespace: 3, index: LinkIndex(rawValue: 5)))
        // When a port leaves a bridge, there is an RTM_DELLINK of AF_BRIDGE.
        #expect(try LinkMessage.isAboutLink(Golden.bytes(head).span.bytes))
        #expect(try !LinkMessage.isAboutLink(Golden.bytes("07" + head.dropFirst(2)).span.bytes))
    }

    @Test func writesRequestsAboutOtherNamespaces() {
        let place = LinkMove(namespace: 3, index: LinkIndex(rawValue: 9))
        var writer = NetlinkWriter()
        LinkRequest.get(place.index, in: place.namespace).encode(into: &writer, sequence: 1)
        LinkRequest.delete(place.index, in: place.namespace).encode(into: &writer, sequence: 2)
        // RTM_GETLINK 18, NLM_F_REQUEST; IFLA_TARGET_NETNSID 46; IFLA_EXT_MASK 29. RTM_DELLINK 17, NLM_F_ACK too.
        #expect(
            writer.bytes
                == Golden.bytes(
                    """
                    30000000 1200 0100 01000000 00000000 00000000 09000000 00000000 00000000
                    0800 2e00 03000000 0800 1d00 08000000
                    28000000 1100 0500 02000000 00000000 00000000 09000000 00000000 00000000
                    0800 2e00 03000000
                    """))
    }

    @Test func writesALinkChange() throws {
        let change: LinkChange = [
            .mtu(try MTU(9_000)), .macAddress(try MACAddress("02:00:00:00:00:01")), .up(true),
        ]
        var writer = NetlinkWriter()
        LinkRequest.change(LinkIndex(rawValue: 5), change).encode(into: &writer, sequence: 1)
        // RTM_SETLINK 19, NLM_F_REQUEST|ACK 5; ifi_flags and ifi_change IFF_UP; IFLA_MTU 4; IFLA_ADDRESS 1, padded.
        #expect(
            writer.bytes
                == Golden.bytes(
                    """
                    34000000 1300 0500 01000000 00000000 00000000 05000000 01000000 01000000
                    0800 0400 28230000 0a00 0100 020000000001 0000
                    """))
    }

    @Test func writesTheQueueDiscipline() {
        var writer = NetlinkWriter()
        LinkRequest.queueDiscipline(LinkIndex(rawValue: 5), .noqueue).encode(into: &writer, sequence: 1)
        // RTM_NEWQDISC 36, NLM_F_REQUEST|ACK|REPLACE|CREATE 0x505; tcmsg at TC_H_ROOT; TCA_KIND 1.
        #expect(
            writer.bytes
                == Golden.bytes(
                    """
                    30000000 2400 0505 01000000 00000000 00000000 05000000 00000000 ffffffff 00000000
                    0c00 0100 6e6f717565756500
                    """))
    }

    @Test(arguments: [
        "0f000000 1000 0000 00000000 00000000",  // a message shorter than its header
        "ff000000 1000 0000 00000000 00000000",  // a message longer than the datagram
        "14000000 1000 0000 00000000 00000000 00000000",  // a link message without its ifinfomsg
        "24000000 1000 0000 00000000 00000000 00000000 02000000 00000000 00000000 0000 0400",  // attribute of length 0
        "24000000 1000 0000 00000000 00000000 00000000 02000000 00000000 00000000 0300 0400",  // below its header
        "24000000 1000 0000 00000000 00000000 00000000 02000000 00000000 00000000 0800 0400",  // beyond the message
        "24000000 1000 0000 00000000 00000000 00000000 02000000 00000000 00000000 0400 0400",  // an MTU of no bytes
    ])
    func refusesBadLengths(hexadecimal: String) {
        #expect(throws: MalformedNetlink.self) { try decode(Golden.bytes(hexadecimal)) }
    }

    /// No input makes it crash, loop or read out of bounds: Swift traps on all three, and the test would end.
    @Test func survivesAnyBytes() {
        var random = SeededGenerator(seed: 20_26)
        for round in 0..<20_000 {
            var bytes = Golden.newLink
            if round % 4 == 0 {
                bytes = (0..<Int.random(in: 0..<400, using: &random)).map { _ in .random(in: 0...255, using: &random) }
            } else {
                for _ in 0..<Int.random(in: 1..<12, using: &random) {
                    let position = Int.random(in: 0..<bytes.count, using: &random)
                    bytes[position] = .random(in: 0...255, using: &random)
                }
                if round % 3 == 0 { bytes.removeLast(.random(in: 0..<bytes.count, using: &random)) }
            }
            _ = try? decode(bytes)
        }
    }

    @Test func survivesEveryCut() {
        for length in 0...Golden.newLink.count { _ = try? decode(Array(Golden.newLink[0..<length])) }
    }
}
