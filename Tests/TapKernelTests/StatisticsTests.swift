import CLinux
import Foundation
import TapCore
import TestSupport
import Testing

@testable import TapKernel

@Suite struct StatisticsMessageTests {
    private func decode(_ datagram: [UInt8]) throws(MalformedNetlink) -> [LinkIndex: LinkStatistics] {
        var all: [LinkIndex: LinkStatistics] = [:]
        try walkMessages(datagram.span.bytes) { (_, payload) throws(MalformedNetlink) in
            if let (index, statistics) = try StatisticsMessage.decode(payload) { all[index] = statistics }
        }
        return all
    }

    @Test func readsRealCounters() throws {
        let found = try decode(Golden.newStatistics)
        var wanted = LinkStatistics()
        wanted.received.packets = 7
        wanted.received.bytes = 448
        wanted.transmitted.dropped = 1
        #expect(found == [LinkIndex(rawValue: 2): wanted])
    }

    /// Uses eight different numbers; those of a real, quiet tap are not all different.
    @Test func countersAreAtTheirOffsets() throws {
        var bytes = Golden.newStatistics
        for place in 0..<8 { bytes[16 + 12 + 4 + 8 * place] = UInt8(place + 1) }
        let statistics = try #require(try decode(bytes)[LinkIndex(rawValue: 2)])
        let (received, transmitted) = (statistics.received, statistics.transmitted)
        #expect(received.packets & 0xFF == 1 && transmitted.packets & 0xFF == 2)
        #expect(received.bytes & 0xFF == 3 && transmitted.bytes & 0xFF == 4)
        #expect(received.errors == 5 && transmitted.errors == 6)
        #expect(received.dropped == 7 && transmitted.dropped == 8)
    }

    @Test func writesADump() {
        var writer = NetlinkWriter()
        LinkRequest.dumpStatistics.encode(into: &writer, sequence: 0x0102_0304)
        // length 28, RTM_GETSTATS 94, NLM_F_REQUEST|DUMP 0x301, sequence, port; if_stats_msg with filter 1.
        #expect(
            writer.bytes == Golden.bytes("1c000000 5e00 0103 04030201 00000000 00000000 00000000 01000000"))
    }

    /// An attribute of a later kernel, and counters that the current kernel does not have.
    @Test func skipsUnknownAttributes() throws {
        let header = 16 + 12
        let unknown = Golden.bytes("0800 7700 11223344")
        var bytes = Golden.newStatistics
        bytes.insert(contentsOf: unknown, at: header)
        bytes += Golden.bytes("ffffffffffffffff")
        // The lengths of the message and of the attribute.
        bytes[0] += UInt8(unknown.count) + 8
        bytes[header + unknown.count] += 8
        #expect(try decode(bytes) == decode(Golden.newStatistics))
    }

    @Test(arguments: [
        "18000000 5c00 0000 00000000 00000000 00000000 02000000",  // a message without the end of its if_stats_msg
        "20000000 5c00 0000 00000000 00000000 00000000 02000000 01000000 0000 0100",  // an attribute of length 0
        "20000000 5c00 0000 00000000 00000000 00000000 02000000 01000000 0300 0100",  // below its header
        "20000000 5c00 0000 00000000 00000000 00000000 02000000 01000000 4400 0100",  // beyond the message
        "24000000 5c00 0000 00000000 00000000 00000000 02000000 01000000 0800 0100 00000000",  // half a counter
    ])
    func refusesBadLengths(hexadecimal: String) {
        #expect(throws: MalformedNetlink.self) { try decode(Golden.bytes(hexadecimal)) }
    }

    /// No input makes it crash, loop or read out of bounds: Swift traps on all three, and the test would end.
    @Test func survivesAnyBytes() {
        var random = SeededGenerator(seed: 94)
        for _ in 0..<20_000 {
            var bytes = Golden.newStatistics
            for _ in 0..<Int.random(in: 1..<8, using: &random) {
                // Most fields that are checked are at the beginning.
                let end = Bool.random(using: &random) ? 40 : bytes.count
                bytes[Int.random(in: 0..<end, using: &random)] = .random(in: 0...255, using: &random)
            }
            bytes.removeLast(.random(in: 0..<bytes.count, using: &random))
            _ = try? decode(bytes)
        }
        for length in 0...Golden.newStatistics.count { _ = try? decode(Array(Golden.newStatistics[..<length])) }
    }
}

/// The real kernel, each test in a namespace of its own.
@Suite(.privileged) struct StatisticsTests {
    /// Enough interfaces for a dump of several datagrams.
    @Test func everyInterfaceIsCounted() async throws {
        try await inNamespace {
            let count = 150
            let batch = (0..<count).map { "link add name br\($0) type bridge\n" }.joined()
            try withTemporaryDirectory { directory in
                try batch.write(toFile: directory + "/batch", atomically: true, encoding: .utf8)
                try run("ip", "-batch", directory + "/batch")
            }
            let namespace = try LinuxKernel().open(nil)
            let statistics = try namespace.statistics()
            #expect(statistics.host == namespace.host)
            #expect(Set(try statistics.read().keys) == Set(try namespace.links().map(\.index)))
        }
    }

    /// The counters of each direction equal those of `ip -s link`.
    @Test func trafficIsCountedAsIPShowsIt() async throws {
        try await inNamespace {
            let kernel = try LinuxKernel()
            let namespace = try kernel.open(nil)
            let statistics = try namespace.statistics()
            let flags = CreationFlags(kind: .tap, multiQueue: false, packetInfo: false, vnetHeader: false)
            let tap = try TunQueue(attachingTo: "web0", flags: flags, carrier: true, in: nil)
            try run("ip", "link", "set", "web0", "up")
            let frame =
                [UInt8](repeating: 0xFF, count: 6) + [2, 0, 0, 0, 0, 1, 8, 0] + [UInt8](repeating: 0, count: 50)
            for _ in 0..<7 { #expect(write(tap.number, frame, frame.count) == frame.count) }
            let index = LinkIndex(rawValue: Int32(try #require(try Interface("web0")?.index)))
            // The kernel itself may transmit packets at any time.
            var counted: LinkStatistics?
            var shown: [String: Any]?
            try eventually("no packet is sent between the readings") {
                let before = try statistics.read()[index]
                let links = try JSONSerialization.jsonObject(
                    with: Data(try run("ip", "-s", "-j", "link", "show", "dev", "web0").utf8))
                shown = ((links as? [[String: Any]])?.first)?["stats64"] as? [String: Any]
                counted = try statistics.read()[index]
                return before == counted
            }
            #expect(counted?.received.packets == 7)
            #expect(counted?.received.bytes == 7 * UInt64(frame.count))
            for (key, direction) in [("rx", counted?.received), ("tx", counted?.transmitted)] {
                let ip = try #require(shown?[key] as? [String: Any])
                #expect(ip["bytes"] as? UInt64 == direction?.bytes)
                #expect(ip["packets"] as? UInt64 == direction?.packets)
                #expect(ip["errors"] as? UInt64 == direction?.errors)
                #expect(ip["dropped"] as? UInt64 == direction?.dropped)
            }
        }
    }
}
