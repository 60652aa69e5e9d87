import TapCore
import Testing

@Suite struct ValueTests {
    @Test(arguments: ["web0", "a", "_x", "0", "vm-1.eth0", "fifteen-bytes-x"])
    func validDeviceNames(text: String) throws {
        #expect(try DeviceName(text).text == text)
    }

    @Test(arguments: [
        "", "sixteen-bytes-xx", ".", "..", "a/b", "a:b", "a b", "tap%d", "-del", "all", "default", "lo", "é", "a\0",
    ])
    func invalidDeviceNames(text: String) {
        #expect(throws: ValidationError.self) { try DeviceName(text) }
    }

    @Test func deviceNameErrorStatesTheLength() {
        #expect(throws: ValidationError("the name has 16 bytes, but the kernel keeps at most 15 (IFNAMSIZ)")) {
            try DeviceName("sixteen-bytes-xx")
        }
    }

    @Test(arguments: [(0, false), (1, true), (255, true), (256, false), (257, false), (-1, false)])
    func queueCounts(count: Int, exists: Bool) {
        #expect(((try? QueueCount(count)) != nil) == exists)
    }

    @Test(arguments: [(3, false), (67, false), (68, true), (65_535, true), (65_536, false)])
    func mtus(bytes: Int, exists: Bool) {
        #expect(((try? MTU(bytes)) != nil) == exists)
    }

    @Test func macAddressReadsAndWrites() throws {
        let address = try MACAddress("02:0A:ff:00:01:7f")
        #expect(address.description == "02:0a:ff:00:01:7f")
        #expect(address.bytes == [0x02, 0x0A, 0xFF, 0x00, 0x01, 0x7F])
        #expect(MACAddress(bytes: address.bytes) == address)
    }

    @Test(arguments: [
        "", "02:00:00:00:00", "02:00:00:00:00:00:00", "02-00-00-00-00-01", "2:0:0:0:0:1", "00:00:00:00:00:00",
        "01:00:5e:00:00:01", "+2:00:00:00:00:01", "02:00:00:00:00:0g",
    ])
    func invalidMACAddresses(text: String) {
        #expect(throws: ValidationError.self) { try MACAddress(text) }
    }

    /// Identifiers of version 4 are those of devices that earlier releases made.
    @Test func anEarlierDevicesAddressStays() throws {
        let old = try #require(DeviceIdentifier(text: "0d4f6f27-1d16-4ac4-84c9-af479f79a629"))
        #expect(MACAddress(derivedFrom: old).description == "8a:cb:96:7f:7d:46")
        let new = try #require(DeviceIdentifier(text: "0d4f6f27-1d16-8ac4-84c9-af479f79a629"))
        #expect(MACAddress(derivedFrom: new).description == "fe:cb:96:7f:7d:46")
        #expect((0..<100).allSatisfy { _ in MACAddress(derivedFrom: .random()).bytes[0] == 0xFE })
    }

    @Test func derivedAddressIsUnicastLocalAndStable() {
        var seen: Set<MACAddress> = []
        for _ in 0..<1_000 {
            let identifier = DeviceIdentifier(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
            let address = MACAddress(derivedFrom: identifier)
            #expect(address.bytes[0] & 0b11 == 0b10)
            #expect(address == MACAddress(derivedFrom: identifier))
            seen.insert(address)
        }
        #expect(seen.count == 1_000)
    }

    @Test(arguments: [
        ([], true), (["checksum"], true), (["tso4"], false), (["checksum", "ecn"], false),
        (["checksum", "tso6", "ecn"], true), (["checksum", "uso4"], false), (["checksum", "uso4", "uso6"], true),
    ])
    func offloadsTogether(words: [String], fit: Bool) throws {
        let offloads = try Offloads(words.map { try Offloads(word: $0) })
        #expect((offloads.contradiction == nil) == fit)
        #expect(Set(offloads.names) == Set(words))
    }

    @Test func specReportsAllContradictions() throws {
        var draft = DeviceSpecDraft()
        draft.kind = .tun
        draft.vnetHeader = false
        draft.offloads = [.checksum]
        draft.access = .open
        draft.sendBuffer = try SendBufferBytes(65_536)
        draft.link.macAddress = try MACAddress("02:00:00:00:00:01")
        #expect {
            try DeviceSpec(draft)
        } throws: { error in
            (error as? SpecContradictions)?.found.map(\.field) == [.offloads, .macAddress, .sendBuffer]
        }
    }

    @Test(arguments: [(DeviceKind.tap, 65_521, true), (.tap, 65_522, false), (.tun, 65_535, true)])
    func largestMTUDependsOnTheKind(kind: DeviceKind, mtu: Int, exists: Bool) throws {
        var draft = DeviceSpecDraft()
        draft.kind = kind
        draft.link.mtu = try MTU(mtu)
        #expect(((try? DeviceSpec(draft)) != nil) == exists)
    }

    @Test func offloadsDefaultToWhatTheHeaderAllows() throws {
        var draft = DeviceSpecDraft()
        #expect(try DeviceSpec(draft).offloads == [.checksum, .tso4, .tso6])
        draft.vnetHeader = false
        #expect(try DeviceSpec(draft).offloads == [])
    }

    @Test func ownerOfAnOpenDeviceCanChangeButNotBeCleared() throws {
        var draft = DeviceSpecDraft()
        draft.access = .open
        let unowned = try DeviceSpec(draft)
        draft.owner = try Principal(1_000)
        let first = try DeviceSpec(draft)
        draft.owner = try Principal("alice")
        let second = try DeviceSpec(draft)
        #expect(first.immutableFieldsDiffering(from: unowned) == [])
        #expect(second.immutableFieldsDiffering(from: first) == [])
        #expect(unowned.immutableFieldsDiffering(from: first) == [.owner])
    }

    @Test func backoffDoublesUpToAMinute() {
        /// Returns the largest number, which results in the upper bound.
        struct Largest: RandomNumberGenerator {
            func next() -> UInt64 { .max }
        }
        var backoff = Backoff()
        var generator = Largest()
        let delays = (0..<14).map { _ in backoff.next(using: &generator) }
        #expect(delays.prefix(3) == [.milliseconds(50), .milliseconds(100), .milliseconds(200)])
        #expect(delays.last == .seconds(60))
    }

    @Test func backoffHasFullJitter() {
        var generator = SystemRandomNumberGenerator()
        let first = (0..<200).map { _ in
            var backoff = Backoff()
            return backoff.next(using: &generator)
        }
        #expect(first.allSatisfy { $0 > .zero && $0 <= .milliseconds(50) })
        #expect(Set(first).count > 10)
    }
}
