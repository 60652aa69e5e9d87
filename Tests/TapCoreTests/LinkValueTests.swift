import TapCore
import Testing

/// Values of the link: names, addresses, namespaces.
@Suite struct LinkValueTests {
    @Test(arguments: [
        ("blue", "/run/netns/blue"), ("a.b-c_d", "/run/netns/a.b-c_d"), ("/proc/1/ns/net", "/proc/1/ns/net"),
        ("...", "/run/netns/..."), ("-x", "/run/netns/-x"),
    ])
    func namespacesHavePaths(text: String, path: String) throws {
        let namespace = try NetworkNamespace(text)
        #expect(namespace.text == text)
        #expect(namespace.path == path)
    }

    @Test(arguments: [
        "", ".", "..", "a/b", "./a", "../a", "a b", "a\n", "a\0b", "é", String(repeating: "n", count: 201),
    ])
    func invalidNamespaces(text: String) {
        #expect(throws: ValidationError.self) { try NetworkNamespace(text) }
    }

    @Test func aPathHasAMaximumLength() throws {
        let longest = "/" + String(repeating: "n", count: 1_022)
        #expect(try NetworkNamespace(longest).path == longest)
        #expect(throws: ValidationError.self) { try NetworkNamespace(longest + "n") }
    }

    @Test(arguments: ["br0", "a", "lo", "Brücke", "-x", ".hidden", "b@c", "fifteen-bytes-x"])
    func validInterfaceNames(text: String) throws {
        #expect(try InterfaceName(text).text == text)
    }

    @Test(arguments: ["", ".", "..", "a b", "a/b", "a:b", "a\u{7F}", "a\0", "sixteen-bytes-xx", "fünfzehn-bytes-"])
    func invalidInterfaceNames(text: String) {
        #expect(throws: ValidationError.self) { try InterfaceName(text) }
    }

    @Test func alternativeNamesAreLong() throws {
        let longest = String(repeating: "n", count: 127)
        #expect(try AlternativeName(longest).text == longest)
        #expect(throws: ValidationError.self) { try AlternativeName(longest + "n") }
    }

    @Test(arguments: ["", "-a", ".a", "a b", "a:b", "a/b", "é", "a\0"])
    func invalidAlternativeNames(text: String) {
        #expect(throws: ValidationError.self) { try AlternativeName(text) }
    }

    @Test func anAliasMayHaveSpacesAndUnicode() throws {
        #expect(try LinkAlias("Gäste / vm 42 \"x\"").text == "Gäste / vm 42 \"x\"")
        #expect(try LinkAlias(String(repeating: "n", count: 255)).text.utf8.count == 255)
        // 256 bytes, but 128 characters.
        for text in ["", "a\nb", "a\0b", "a\u{7F}", String(repeating: "é", count: 128)] {
            #expect(throws: ValidationError.self) { try LinkAlias(text) }
        }
    }

    /// RFC 5952, section 4.
    @Test(arguments: [
        ("192.0.2.1/24", "192.0.2.1/24"), ("0.0.0.1/8", "0.0.0.1/8"), ("223.255.255.255/32", "223.255.255.255/32"),
        ("2001:0db8:0000:0000:0001:0000:0000:0001/64", "2001:db8::1:0:0:1/64"),
        ("2001:db8:0:0:0:0:2:1/128", "2001:db8::2:1/128"), ("2001:DB8:A::1/1", "2001:db8:a::1/1"),
        ("2001:db8:0:1:1:1:1:1/64", "2001:db8:0:1:1:1:1:1/64"), ("::2/128", "::2/128"),
        ("::ffff:192.0.2.1/128", "::ffff:192.0.2.1/128"), ("fe80::1/64", "fe80::1/64"),
    ])
    func addressesAreCanonical(text: String, form: String) throws {
        let address = try InterfaceAddress(text)
        #expect(address.description == form)
        #expect(try InterfaceAddress(form) == address)
        #expect(InterfaceAddress(bytes: address.bytes, prefixLength: address.prefixLength) == address)
        #expect(address.isIPv6 == text.contains(":"))
    }

    @Test(arguments: [
        "", "/", "192.0.2.1", "192.0.2.1/", "/24", "192.0.2.1/24/24", "192.0.2/24", "192.0.2.1/0", "192.0.2.1/33",
        "192.0.2.1/-1", "192.0.2.1/+24", "192.0.2.1/024", "192.0.2.1/24 ", " 192.0.2.1/24", "192.0.2.01/24",
        "192.0.2.256/24", "0x7f.0.0.1/8", "1/8", "0.0.0.0/8", "224.0.0.1/4", "239.1.2.3/32", "255.255.255.255/32",
        "::/64", "ff02::1/64", "2001:db8::1/129", "2001:db8::1/0", "2001:db8:::1/64", "2001:db8::1::2/64",
        "fe80::1%eth0/64", "[2001:db8::1]/64", "12345::/16", "g::1/64", "192.0.2.1\0/24", "web0/24",
        "::ffff:255.255.255.255.255.255.255.255.255.255.255.255/64",
    ])
    func invalidAddresses(text: String) {
        #expect(throws: ValidationError.self) { try InterfaceAddress(text) }
    }

    @Test func addressesAreSorted() throws {
        let texts = ["10.0.0.1/8", "192.0.2.1/24", "192.0.2.1/25", "192.0.2.2/24", "2001:db8::1/64", "fe80::1/64"]
        let addresses = try texts.map { try InterfaceAddress($0) }
        #expect(addresses.shuffled().sorted() == addresses)
        #expect(InterfaceAddress(bytes: [1, 2, 3], prefixLength: 24) == nil)
    }

    @Test func unsupportedFeaturesAreRefused() throws {
        var draft = DeviceSpecDraft()
        draft.napi = true
        draft.napiFrags = true
        let spec = try DeviceSpec(draft)
        #expect(KernelFeatures.all.refusals(of: spec) == [])
        #expect(
            KernelFeatures([.tun]).refusals(of: spec).map(\.field)
                == [.kind, .multiQueue, .vnetHeader, .napi, .napiFrags])
        let old: KernelFeatures = [.tap, .tun, .multiQueue, .vnetHeader]
        let refusals = old.refusals(of: spec)
        #expect(refusals.map(\.field) == [.napi, .napiFrags])
        #expect(refusals.allSatisfy { $0.detail.contains("4.15") })
        // Unsupported features that the spec does not need are not refused.
        #expect(old.refusals(of: try DeviceSpec(DeviceSpecDraft())) == [])
    }

    @Test func carrierAndAddressesMustFitOtherFields() throws {
        var draft = DeviceSpecDraft()
        draft.queues = .single
        draft.link.carrier = .on
        draft.link.mtu = try MTU(1_279)
        draft.link.addresses = [try InterfaceAddress("192.0.2.1/24"), try InterfaceAddress("2001:db8::1/64")]
        #expect {
            try DeviceSpec(draft)
        } throws: { error in
            (error as? SpecContradictions)?.found.map(\.field) == [.carrier, .addresses]
        }
        draft.link.mtu = try MTU(1_280)
        draft.queues = .multiple(.one)
        #expect(try DeviceSpec(draft).link.carrier == .on)
    }
}
