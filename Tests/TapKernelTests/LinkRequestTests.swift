import TapCore
import TestSupport
import Testing

@testable import TapKernel

/// Requests to rtnetlink, and its address messages, byte for byte.
@Suite struct LinkRequestTests {
    private static let index = LinkIndex(rawValue: 5)

    private static func bytes(_ request: LinkRequest) -> [UInt8] {
        var writer = NetlinkWriter()
        request.encode(into: &writer, sequence: 1)
        return writer.bytes
    }

    @Test func writesAlternativeNames() {
        // RTM_NEWLINKPROP 108, NLM_F_REQUEST|ACK|CREATE|EXCL 0x605; IFLA_PROP_LIST 52, nested; IFLA_ALT_IFNAME 53.
        #expect(
            Self.bytes(.addAltNames(Self.index, ["front", "b"]))
                == Golden.bytes(
                    """
                    38000000 6c00 0506 01000000 00000000 00000000 05000000 00000000 00000000
                    1800 3480 0a00 3500 66726f6e7400 0000 0600 3500 6200 0000
                    """))
        // RTM_DELLINKPROP 109.
        #expect(
            Self.bytes(.removeAltNames(Self.index, ["front"]))
                == Golden.bytes(
                    """
                    30000000 6d00 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    1000 3480 0a00 3500 66726f6e7400 0000
                    """))
    }

    @Test func writesSettingsOfABridgePort() {
        // ifi_family AF_BRIDGE 7; IFLA_PROTINFO 12, nested; IFLA_BRPORT_ISOLATED 33, _LEARNING 8, _PRIORITY 2, _COST 3.
        #expect(
            Self.bytes(
                .setPort(
                    Self.index, [.init(.isolated, 1), .init(.learning, 0), .init(.priority, 5), .init(.cost, 300)]))
                == Golden.bytes(
                    """
                    44000000 1300 0500 01000000 00000000 07000000 05000000 00000000 00000000
                    2400 0c80 0500 2100 01000000 0500 0800 00000000 0600 0200 05000000 0800 0300 2c010000
                    """))
    }

    @Test func writesAddresses() throws {
        // RTM_NEWADDR 20, NLM_F_REQUEST|ACK|CREATE|REPLACE 0x505; ifaddrmsg; IFA_LOCAL 2, IFA_ADDRESS 1, IFA_PROTO 11.
        #expect(
            Self.bytes(.addAddress(Self.index, try InterfaceAddress("192.0.2.1/24"), detectsDuplicates: true))
                == Golden.bytes(
                    """
                    30000000 1400 0505 01000000 00000000 02 18 00 00 05000000
                    0800 0200 c0000201 0800 0100 c0000201 0500 0b00 74 000000
                    """))
        // RTM_DELADDR 21.
        #expect(
            Self.bytes(.removeAddress(Self.index, try InterfaceAddress("2001:db8::1/64")))
                == Golden.bytes(
                    """
                    40000000 1500 0500 01000000 00000000 0a 40 00 00 05000000
                    1400 0200 20010db8000000000000000000000001 1400 0100 20010db8000000000000000000000001
                    """))
        // RTM_GETADDR 22, NLM_F_REQUEST|DUMP.
        #expect(
            Self.bytes(.dumpAddresses)
                == Golden.bytes("18000000 1600 0103 01000000 00000000 00 00 00 00 00000000"))
    }

    @Test(arguments: [(true, "01"), (false, "00")]) func writesTheCarrier(on: Bool, byte: String) {
        // IFLA_CARRIER 33, one byte.
        #expect(
            Self.bytes(.setCarrier(Self.index, on))
                == Golden.bytes(
                    """
                    28000000 1300 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    0500 2100 \(byte) 000000
                    """))
    }

    @Test func writesGroups() {
        // RTM_SETLINK with IFLA_GROUP 27.
        #expect(
            Self.bytes(.setGroup(Self.index, 0xDEAD_BEEF))
                == Golden.bytes(
                    """
                    28000000 1300 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    0800 1b00 efbeadde
                    """))
        // RTM_DELLINK 17 with interface number 0.
        #expect(
            Self.bytes(.deleteGroup(0xDEAD_BEEF))
                == Golden.bytes(
                    """
                    28000000 1100 0500 01000000 00000000 00000000 00000000 00000000 00000000
                    0800 1b00 efbeadde
                    """))
    }

    @Test func theControllerComesAfterTheMTU() throws {
        let joining: LinkChange = [
            .mtu(try MTU(9_000)), .alias(try LinkAlias("ab")),
            .controller(.join(try InterfaceName("br0"), LinkIndex(rawValue: 2))),
        ]
        // IFLA_MTU 4, IFLA_IFALIAS 20 without a NUL, IFLA_MASTER 10.
        #expect(
            Self.bytes(.change(Self.index, joining))
                == Golden.bytes(
                    """
                    38000000 1300 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    0800 0400 28230000 0600 1400 6162 0000 0800 0a00 02000000
                    """))
        #expect(
            Self.bytes(.change(Self.index, [.alias(nil), .controller(.leave)]))
                == Golden.bytes(
                    """
                    2c000000 1300 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    0400 1400 0800 0a00 00000000
                    """))
    }

    @Test func writesTheGSOSizes() throws {
        // IFLA_GSO_MAX_SIZE 41, IFLA_GSO_IPV4_MAX_SIZE 63.
        #expect(
            Self.bytes(
                .change(
                    Self.index, [.gsoMaxBytes(try GSOMaxBytes(40_000)), .gsoIPv4MaxBytes(try GSOMaxBytes(512))]))
                == Golden.bytes(
                    """
                    30000000 1300 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    0800 2900 409c0000 0800 3f00 00020000
                    """))
    }

    @Test func writesIPSettings() {
        let closed = IPv6Settings(
            addressGeneration: 1, acceptsRouterAdvertisements: 0, autoconfiguration: 0, acceptsRedirects: 0,
            isDisabled: 1)
        // IFLA_AF_SPEC 26; AF_INET 2, IFLA_INET_CONF 1, IPV4_DEVCONF_ACCEPT_REDIRECTS 4; AF_INET6 10,
        // IFLA_INET6_ADDR_GEN_MODE 8.
        #expect(
            Self.bytes(.change(Self.index, [.ip(IPSettings(acceptsIPv4Redirects: 0, ipv6: closed))]))
                == Golden.bytes(
                    """
                    40000000 1300 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    2000 1a80 1000 0280 0c00 0180 0800 0400 00000000 0c00 0a80 0500 0800 01 000000
                    """))
    }

    @Test func writesThePromotionOfAddresses() {
        // IFLA_AF_SPEC 26, AF_INET 2, IFLA_INET_CONF 1, all nested; IPV4_DEVCONF_PROMOTE_SECONDARIES 20.
        #expect(
            Self.bytes(.change(Self.index, [.promoteSecondaries]))
                == Golden.bytes(
                    """
                    34000000 1300 0500 01000000 00000000 00000000 05000000 00000000 00000000
                    1400 1a80 1000 0280 0c00 0180 0800 1400 01000000
                    """))
    }

    // MARK: Addresses

    /// Four addresses from a real kernel (6.18) on interface 2: 203.0.113.9/24, 198.51.100.1 with the peer
    /// 198.51.100.2/32, and 192.0.2.1/24 and 2001:db8::1/64 with Tapster's `IFA_PROTO`.
    private static let addresses = Golden.bytes(
        """
        500000001400020007000000da580000021880000200000008000100cb00710908000200cb0071090b000300776562303a7800
        00080008008000000014000600ffffffffffffffff1b1006001b100600
        500000001400020007000000da580000022080000200000008000100c633640208000200c63364010900030077656230000000
        00080008008000000014000600ffffffffffffffff1b1006001b100600
        580000001400020007000000da580000021880000200000008000100c000020108000200c00002010900030077656230000000
        0005000b0074000000080008008000000014000600ffffffffffffffff1b1006001b100600
        500000001400020007000000b05b00000a40c000020000001400010020010db800000000000000000000000114000600ffffff
        ffffffffffbc170600bc17060008000800c000000005000b0074000000
        """)

    private static func decode(_ datagram: [UInt8]) throws(MalformedNetlink) -> [(LinkIndex, ObservedAddress)] {
        var found: [(LinkIndex, ObservedAddress)] = []
        try walkMessages(datagram.span.bytes) { (_, payload) throws(MalformedNetlink) in
            if let address = try AddressMessage.decode(payload) { found.append(address) }
        }
        return found
    }

    @Test func readsRealAddresses() throws {
        let found = try Self.decode(Self.addresses)
        #expect(found.allSatisfy { $0.0.rawValue == 2 })
        #expect(
            found.map(\.1) == [
                ObservedAddress(try InterfaceAddress("203.0.113.9/24"), origin: .other),
                // The local address, not the peer's.
                ObservedAddress(try InterfaceAddress("198.51.100.1/32"), origin: .other),
                ObservedAddress(try InterfaceAddress("192.0.2.1/24"), origin: .tapster),
                ObservedAddress(try InterfaceAddress("2001:db8::1/64"), origin: .tapster, use: .tentative),
            ])
    }

    @Test(arguments: [
        "14000000 1400 0000 00000000 00000000 02180000",  // cut within its ifaddrmsg
        "20000000 1400 0000 00000000 00000000 02180000 02000000 0900 0100 c0000201",  // an attribute beyond the end
        "1c000000 1400 0000 00000000 00000000 02180000 02000000 0400 0b00",  // an IFA_PROTO of no byte
    ])
    func refusesBadAddresses(hexadecimal: String) {
        #expect(throws: MalformedNetlink.self) { try Self.decode(Golden.bytes(hexadecimal)) }
    }

    @Test func messagesWithoutAnIPAddressAreSkipped() throws {
        // Another family; no address; an address of three bytes.
        for text in ["07", "02"] {
            #expect(
                try Self.decode(Golden.bytes("18000000 1400 0000 00000000 00000000 \(text)180000 02000000")).isEmpty)
        }
        #expect(
            try Self.decode(
                Golden.bytes("20000000 1400 0000 00000000 00000000 02180000 02000000 0700 0100 c0000200")
            ).isEmpty)
    }

    @Test func survivesAnyAddressBytes() {
        var random = SeededGenerator(seed: 20_26)
        for _ in 0..<5_000 {
            var bytes = Self.addresses
            for _ in 0..<Int.random(in: 1..<8, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            bytes.removeLast(.random(in: 0..<bytes.count, using: &random))
            _ = try? Self.decode(bytes)
        }
    }
}
