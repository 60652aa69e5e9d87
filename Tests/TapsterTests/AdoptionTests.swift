import Foundation
import TestSupport
import Testing

/// Adoption of interfaces that Tapster did not create.
@Suite(.privileged) struct AdoptionTests {
    private static let tap = ["tuntap", "add", "dev", "web0", "mode", "tap", "multi_queue", "vnet_hdr"]

    @Test(arguments: ["brokered", "open"]) func aCompatibleDeviceIsTakenOver(access: String) async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", Self.tap)
            for words in ["mtu 1400", "address 02:00:00:00:00:17", "alias theirs", "up"] {
                try run("ip", ["link", "set", "web0"] + words.split(separator: " ").map(String.init))
            }
            let before = try #require(try Interface("web0"))
            let spec =
                #"{"adoption": "compatible", "access": "\#(access)", "multiQueue": true, "link": {"mtu": 9000}}"#
            #expect(try daemon.create("web0", spec: spec).status == 201)
            let after = try #require(try Interface("web0"))
            #expect(after.index == before.index)
            #expect(after.carrierChanges == before.carrierChanges)
            #expect(after.mtu == 9_000)
            #expect(after.alias == nil)
            #expect(after.queueDiscipline == "noqueue")
            #expect(after.tun("numdisabled") == (access == "open" ? "1" : "0"))
            #expect(try Consumer.vnetHeaderSize(of: "web0") == 12)
            #expect(try daemon.metric("tapster_drift_repairs_total") == nil)
            // It is managed from now on, even after a restart.
            daemon.kill()
            try daemon.start()
            #expect(try daemon.phase("web0") == "Ready")
            #expect(try daemon.delete("web0").status == 200)
            #expect(try Interface("web0") == nil)
        }
    }

    @Test func aDeviceInUseIsTakenOverUnderItsConsumer() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", Self.tap)
            try run("ip", "link", "set", "web0", "up")
            let consumer = try Consumer("web0")
            consumer.vnetHeaderSize = 10
            let before = try #require(try Interface("web0"))
            #expect(before.hasCarrier)
            let spec = #"{"adoption": "compatible", "access": "open", "multiQueue": true}"#
            _ = try daemon.create("web0", spec: spec, wait: "1ms")
            // While the consumer is attached, its header size is left alone.
            try daemon.waitForReason("InUse", of: "web0")
            let during = try #require(try Interface("web0"))
            #expect(during.index == before.index)
            #expect(during.carrierChanges == before.carrierChanges)
            #expect(consumer.vnetHeaderSize == 10)
            consumer.leave()
            try daemon.waitUntilReady("web0")
            #expect(try Consumer.vnetHeaderSize(of: "web0") == 12)
            #expect(try Interface("web0")?.index == before.index)
        }
    }

    @Test(arguments: [
        ("never", ["mode", "tap", "multi_queue", "vnet_hdr"], [String]()),
        ("compatible", ["mode", "tap", "multi_queue"], ["vnetHeader"]),
        ("compatible", ["mode", "tap", "vnet_hdr"], ["multiQueue"]),
        ("compatible", ["mode", "tun", "pi"], ["kind", "multiQueue", "packetInfo", "vnetHeader"]),
    ])
    func anotherDeviceIsAConflict(adoption: String, mode: [String], fields: [String]) async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", ["tuntap", "add", "dev", "web0"] + mode)
            let before = try #require(try Interface("web0"))
            _ = try daemon.create("web0", spec: #"{"adoption": "\#(adoption)"}"#, wait: "1ms")
            try daemon.waitForReason("ForeignDevice", of: "web0")
            let conflict = try #require(try daemon.condition("Conflict", of: "web0"))
            #expect(conflict.holds)
            #expect(
                conflict.message.contains("because these fields differ: \(fields.joined(separator: ", ")).") == !fields
                    .isEmpty,
                "\(conflict.message)")
            #expect(try Interface("web0")?.index == before.index)
            #expect(try Interface("web0")?.isUp == false)
            // When the foreign interface is gone, ours is created.
            try run("ip", "link", "del", "web0")
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.index != before.index)
        }
    }

    /// Neither another kind of interface nor one that has the name as an alternative name is adopted.
    @Test func onlyWhatHasTheNameIsAdopted() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "web0", "type", "bridge")
            try run("ip", "tuntap", "add", "dev", "other", "mode", "tap", "multi_queue", "vnet_hdr")
            // The kernel reports alternative names only while an interface is up.
            try run("ip", "link", "set", "other", "up")
            try run("ip", "link", "property", "add", "dev", "other", "altname", "web1")
            let before = try #require(try Interface("other"))
            for name in ["web0", "web1"] {
                _ = try daemon.create(name, spec: #"{"adoption": "compatible"}"#, wait: "1ms")
                try daemon.waitForReason("ForeignDevice", of: name)
            }
            #expect(try Interface("other")?.queueDiscipline == before.queueDiscipline)
            try run("ip", "link", "property", "del", "dev", "other", "altname", "web1")
            try daemon.waitUntilReady("web1")
            #expect(try Interface("web1")?.index != before.index)
        }
    }

    @Test func aGSOSizeIsListedAndAdopted() async throws {
        try await withDaemon { (daemon) throws in
            for name in ["tap0", "tap1"] { try run("ip", "tuntap", "add", "dev", name, "mode", "tap", "multi_queue") }
            try run("ip", "link", "set", "tap1", "gso_max_size", "30000")
            let items = try daemon.send("GET", "/v1/unmanaged")["items"] as? [[String: Any]] ?? []
            #expect(items.map { $0["gsoMaxBytes"] as? Int } == [65_536, 30_000])
            let adopted = try daemon.send("POST", "/v1/unmanaged/tap1/adopt?wait=5s")
            #expect(adopted.status == 201)
            #expect(adopted["spec", "link", "gsoMaxBytes"] as? Int == 30_000)
            let other = try daemon.send("POST", "/v1/unmanaged/tap0/adopt?wait=5s")
            #expect(other["spec", "link", "gsoMaxBytes"] is NSNull)
            try run("ip", "link", "set", "tap1", "gso_max_size", "20000")
            #expect(try daemon.send("POST", "/v1/reconcile?wait=5s").status == 200)
            #expect(try Interface("tap1")?.gsoMaxBytes == 30_000)
        }
    }

    @Test func aChangeOfMindIsEnough() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", Self.tap)
            let before = try #require(try Interface("web0"))
            _ = try daemon.create("web0", wait: "1ms")
            try daemon.waitForReason("ForeignDevice", of: "web0")
            #expect(try daemon.patch("web0", spec: #"{"adoption": "compatible"}"#).status == 200)
            #expect(try Interface("web0")?.index == before.index)
        }
    }
}
