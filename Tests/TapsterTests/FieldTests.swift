import Foundation
import TapCore
import TestSupport
import Testing

/// Every field that can be changed in place: it is changed by a patch and then found in the kernel, on the same
/// interface.
@Suite(.privileged) struct FieldTests {
    /// A patch of the spec, and the expected result.
    private struct Change {
        let patch: String
        let holds: (Interface) -> Bool

        init(_ patch: String, _ holds: @escaping (Interface) -> Bool) {
            self.patch = patch
            self.holds = holds
        }
    }

    private static let open = #"{"access": "open", "multiQueue": true}"#

    /// Applies the changes one after the other to the existing interface.
    private static func make(_ changes: [Change], of name: String, _ daemon: Daemon) throws {
        let before = try #require(try Interface(name))
        for change in changes {
            #expect(try daemon.patch(name, spec: change.patch).status == 200, "\(change.patch)")
            let now = try #require(try Interface(name))
            #expect(change.holds(now), "\(change.patch) \(now)")
            #expect(now.index == before.index, "\(change.patch)")
            #expect(now.carrierChanges == before.carrierChanges, "\(change.patch)")
        }
        #expect(try daemon.metric("tapster_drift_repairs_total") == nil)
    }

    @Test func theLinkChangesUnderItsConsumer() async throws {
        try await withDaemon { (daemon) throws in
            let longest = String(repeating: "n", count: 127)
            // Debian's 6.1 and 6.12 of 2026 allow no more; other kernels allow the API's maximum.
            let isBounded = (try? run("unshare", "--net", "ip", "link", "set", "lo", "txqueuelen", "65536")) == nil
            let queueLengthMax = isBounded ? 32_767 : 65_536
            let derived = try #require(try daemon.create("web0", spec: Self.open)["status", "macAddress"] as? String)
            let consumer = try Consumer("web0")
            try eventually("the carrier is on") { try Interface("web0")?.hasCarrier == true }
            try Self.make(
                [
                    Change(#"{"link": {"mtu": 9000}}"#) { $0.mtu == 9_000 },
                    Change(#"{"link": {"mtu": 68}}"#) { $0.mtu == 68 },
                    Change(#"{"link": {"mtu": 65521}}"#) { $0.mtu == 65_521 },
                    Change(#"{"link": {"mtu": null}}"#) { $0.mtu == 1_500 },
                    Change(#"{"link": {"macAddress": "02:00:00:00:00:17"}}"#) { $0.macAddress == "02:00:00:00:00:17" },
                    Change(#"{"link": {"macAddress": null}}"#) { $0.macAddress == derived },
                    Change(#"{"link": {"txQueueLength": 77}}"#) { $0.transmitQueueLength == 77 },
                    Change(#"{"link": {"txQueueLength": \#(queueLengthMax)}}"#) {
                        $0.transmitQueueLength == queueLengthMax
                    },
                    Change(#"{"link": {"txQueueLength": null}}"#) { $0.transmitQueueLength == 1_000 },
                    Change(#"{"link": {"gsoMaxBytes": 512}}"#) { $0.gsoMaxBytes == 512 },
                    Change(#"{"link": {"gsoMaxBytes": 65536}}"#) { $0.gsoMaxBytes == 65_536 },
                    Change(#"{"link": {"gsoMaxBytes": 40000}}"#) { $0.gsoMaxBytes == 40_000 },
                    // No longer managed.
                    Change(#"{"link": {"gsoMaxBytes": null}}"#) { $0.gsoMaxBytes == 40_000 },
                    Change(#"{"link": {"queueDiscipline": "kernelDefault"}}"#) { $0.queueDiscipline == "mq" },
                    Change(#"{"link": {"queueDiscipline": "noqueue"}}"#) { $0.queueDiscipline == "noqueue" },
                    Change(#"{"link": {"alias": "uplink of vm 42 / Gäste"}}"#) {
                        $0.alias == "uplink of vm 42 / Gäste"
                    },
                    Change(#"{"link": {"alias": "other"}}"#) { $0.alias == "other" },
                    Change(#"{"link": {"alias": null}}"#) { $0.alias == nil },
                    Change(#"{"link": {"altNames": ["front", "\#(longest)"]}}"#) {
                        $0.altNames == ["front", longest]
                    },
                    Change(#"{"link": {"altNames": ["back", "front"]}}"#) { $0.altNames == ["back", "front"] },
                    Change(#"{"link": {"altNames": []}}"#) { $0.altNames == [] },
                    Change(#"{"queues": 200}"#) { $0.isUp },
                    Change(#"{"queues": 1}"#) { $0.isUp },
                ], of: "web0", daemon)
            _ = consumer
        }
    }

    @Test func addressesComeAndGo() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create(
                "web0", spec: #"{"access": "open", "multiQueue": true, "link": {"ipv6": "kernelDefault"}}"#)
            let consumer = try Consumer("web0")
            try eventually("the carrier is on") { try Interface("web0")?.linkLocalAddresses.count == 1 }
            try run("ip", "address", "add", "203.0.113.9/24", "dev", "web0")
            try run("ip", "address", "add", "2001:db8:9::9/64", "dev", "web0")
            var foreign = ["2001:db8:9::9/64", "203.0.113.9/24"]
            func has(_ addresses: String...) -> (Interface) -> Bool {
                { [foreign] in $0.addresses == (foreign + addresses).sorted() && $0.linkLocalAddresses.count == 1 }
            }
            try Self.make(
                [Change(#"{"link": {"addresses": ["192.0.2.1/24"]}}"#, has("192.0.2.1/24"))], of: "web0", daemon)
            // It depends on our address: the kernel would remove it together with the first one of its network.
            try run("ip", "address", "add", "192.0.2.9/24", "dev", "web0")
            foreign.append("192.0.2.9/24")
            try Self.make(
                [
                    Change(
                        #"{"link": {"addresses": ["192.0.2.1/24", "192.0.2.7/32", "2001:DB8:0::1/64"]}}"#,
                        has("192.0.2.1/24", "192.0.2.7/32", "2001:db8::1/64")),
                    // Another prefix length is another address.
                    Change(
                        #"{"link": {"addresses": ["192.0.2.1/25", "2001:db8::1/48"]}}"#,
                        has("192.0.2.1/25", "2001:db8::1/48")),
                    Change(#"{"link": {"addresses": []}}"#, has()),
                ], of: "web0", daemon)
            _ = consumer
        }
    }

    /// Two addresses of one network: the kernel may remove the second together with the first.
    @Test func theOldestAddressOfANetworkGoesAlone() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create(
                "web0", spec: #"{"link": {"addresses": ["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"]}}"#)
            #expect(
                try daemon.patch("web0", spec: #"{"link": {"addresses": ["192.0.2.2/24", "192.0.2.3/24"]}}"#).status
                    == 200)
            #expect(try Interface("web0")?.addresses == ["192.0.2.2/24", "192.0.2.3/24"])
        }
    }

    @Test func aLinkThatIsDownKeepsItsAddresses() async throws {
        try await withDaemon { (daemon) throws in
            let addresses = ["192.0.2.1/24", "2001:db8::1/64"]
            let spec = #"{"link": {"up": false, "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}}"#
            #expect(try daemon.create("web0", spec: spec).status == 201)
            let before = try #require(try Interface("web0"))
            #expect(!before.isUp)
            #expect(before.addresses == addresses)
            for up in [true, false, true] {
                #expect(try daemon.patch("web0", spec: #"{"link": {"up": \#(up)}}"#).status == 200)
                let now = try #require(try Interface("web0"))
                #expect(now.isUp == up)
                #expect(now.addresses == addresses)
                #expect(now.index == before.index)
            }
        }
    }

    @Test func theCarrierFollowsTheSpec() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"access": "open", "queues": 2}"#)
            let before = try #require(try Interface("web0"))
            #expect(!before.hasCarrier)
            #expect(try daemon.patch("web0", spec: #"{"link": {"carrier": "on"}}"#).status == 200)
            let on = try #require(try Interface("web0"))
            #expect(on.hasCarrier)
            #expect(on.carrierChanges == (before.carrierChanges ?? 0) + 1)
            // A consumer that attaches and detaches does not change it.
            try Consumer("web0").leave()
            try eventually("the daemon has seen it go") {
                try daemon.send("GET", "/v1/devices/web0")["status", "attachedQueues"] as? Int == 0
            }
            #expect(try Interface("web0")?.carrierChanges == on.carrierChanges)
            #expect(try daemon.patch("web0", spec: #"{"link": {"carrier": "off"}}"#).status == 200)
            #expect(try Interface("web0")?.hasCarrier == false)
            let consumer = try Consumer("web0")
            try eventually("the consumer's carrier is taken off") {
                try Interface("web0")?.hasCarrier == false && daemon.phase("web0") == "Ready"
            }
            #expect(try daemon.patch("web0", spec: #"{"link": {"carrier": "automatic"}}"#).status == 200)
            #expect(try Interface("web0")?.hasCarrier == true)
            consumer.leave()
            try eventually("it goes with the consumer") { try Interface("web0")?.hasCarrier == false }
            #expect(try Interface("web0")?.index == before.index)
        }
    }

    @Test func theControllerChangesUnderItsConsumer() async throws {
        try await withDaemon { (daemon) throws in
            for bridge in ["br0", "br1"] { try run("ip", "link", "add", bridge, "up", "type", "bridge") }
            _ = try daemon.create("web0", spec: Self.open)
            let consumer = try Consumer("web0")
            try eventually("the carrier is on") { try Interface("web0")?.hasCarrier == true }
            try Self.make(
                [
                    Change(#"{"link": {"controller": "br0"}}"#) { $0.controller == "br0" },
                    Change(#"{"link": {"controller": "br1"}}"#) { $0.controller == "br1" },
                    Change(#"{"link": {"controller": null}}"#) { $0.controller == nil },
                ], of: "web0", daemon)
            _ = consumer
        }
    }

    @Test func ownerAndGroupChange() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("open0", spec: #"{"access": "open", "queues": 2}"#)
            let before = try #require(try Interface("open0"))
            #expect(before.tun("user") == nil)
            let changes: [(patch: String, user: String?, group: String?)] = [
                (#"{"owner": 1234}"#, "1234", nil), (#"{"owner": 1235, "group": 4321}"#, "1235", "4321"),
                (#"{"group": 4322}"#, "1235", "4322"), (#"{"owner": "root", "group": "root"}"#, "root", "root"),
                // The daemon's user becomes the owner; the remaining group only restricts who may open it.
                (#"{"access": "brokered", "owner": null, "group": null}"#, "root", "root"),
                (#"{"access": "open", "multiQueue": true, "owner": 1234, "group": 4321}"#, "1234", "4321"),
            ]
            for change in changes {
                #expect(try daemon.patch("open0", spec: change.patch).status == 200, "\(change.patch)")
                let now = try #require(try Interface("open0"))
                #expect(now.tun("user") == change.user, "\(change.patch)")
                #expect(now.tun("group") == change.group, "\(change.patch)")
                #expect(now.index == before.index, "\(change.patch)")
                #expect(now.carrierChanges == before.carrierChanges, "\(change.patch)")
            }
        }
    }

    @Test(arguments: ["open", "brokered"]) func settingsThatNeedADescriptorChange(access: String) async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"access": "\#(access)", "multiQueue": true}"#)
            let before = try #require(try Interface("web0"))
            #expect(try Consumer.vnetHeaderSize(of: "web0") == 12)
            #expect(try offloads(of: "web0") == [.checksum, .tso4, .tso6])
            #expect(try daemon.patch("web0", spec: #"{"vnetHeaderSize": 20, "offloads": ["checksum"]}"#).status == 200)
            #expect(try Consumer.vnetHeaderSize(of: "web0") == 20)
            #expect(try offloads(of: "web0") == [.checksum])
            #expect(try daemon.patch("web0", spec: #"{"vnetHeaderSize": 10, "offloads": []}"#).status == 200)
            #expect(try Consumer.vnetHeaderSize(of: "web0") == 10)
            #expect(try offloads(of: "web0") == [])
            #expect(try daemon.patch("web0", spec: #"{"offloads": null}"#).status == 200)
            #expect(try offloads(of: "web0") == [.checksum, .tso4, .tso6])
            #expect(try Interface("web0")?.index == before.index)
        }
    }

    @Test func aConsumerKeepsItsHeaderUntilItGoes() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"access": "open", "multiQueue": true}"#)
            let consumer = try Consumer("web0")
            try eventually("the consumer is seen") {
                try daemon.send("GET", "/v1/devices/web0")["status", "attachedQueues"] as? Int == 1
            }
            #expect(try daemon.patch("web0", spec: #"{"vnetHeaderSize": 10}"#, wait: "1ms").status == 202)
            try daemon.waitForReason("InUse", of: "web0")
            #expect(consumer.vnetHeaderSize == 12)
            consumer.leave()
            try daemon.waitUntilReady("web0")
            #expect(try Consumer.vnetHeaderSize(of: "web0") == 10)
        }
    }
}
