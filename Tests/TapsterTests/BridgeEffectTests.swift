import TestSupport
import Testing

/// What a device that joins or leaves a bridge changes for the others is told: before, when it happens, and as long as
/// it lasts.
@Suite(.privileged) struct BridgeEffectTests {
    /// A bridge with an uplink of a large MTU.
    private static func makeBridge(uplink: String = "52:54:00:12:34:56") throws {
        try run("ip", "link", "add", "br0", "up", "type", "bridge")
        try run("ip", "tuntap", "add", "dev", "up0", "mode", "tap")
        try run("ip", "link", "set", "up0", "mtu", "9000", "address", uplink, "master", "br0", "up")
    }

    private static func effects(_ daemon: Daemon, _ devices: String, prune: Bool = false) throws -> [String] {
        let target = "/v1/apply?dryRun=true" + (prune ? "&prune=true" : "")
        let answer = try daemon.send("POST", target, json: #"{"devices": [\#(devices)]}"#)
        let plans = answer["plan"] as? [[String: Any]] ?? []
        return plans.flatMap { $0["effects"] as? [String] ?? [] }
    }

    private static func messages(_ daemon: Daemon, _ reason: String) throws -> [String] {
        let items = try daemon.send("GET", "/v1/events?device=web0&limit=1000")["items"] as? [[String: Any]] ?? []
        return items.filter { $0["reason"] as? String == reason }.compactMap { $0["message"] as? String }
    }

    @Test func aSmallMTUIsTold() async throws {
        try await withDaemon { (daemon) throws in
            try Self.makeBridge()
            let device = #"{"metadata": {"name": "web0"}, "spec": {"link": {"controller": "br0"}}}"#
            let falls = "the MTU of br0 falls from 9000 to 1500"
            #expect(try Self.effects(daemon, device) == [falls])
            try daemon.create("web0", spec: #"{"link": {"controller": "br0"}}"#)
            #expect(try Interface("br0")?.mtu == 1_500)
            try eventually("it is in the history") {
                try Self.messages(daemon, "BridgeChanged").contains { $0.contains(falls) }
            }
            try eventually("the status says who holds it") {
                try daemon.condition("Ready", of: "web0")?.message.contains("holds the MTU of br0 at 1500") == true
            }
            // Another one of the same MTU changes nothing, and then none of them holds it alone.
            let other = #"{"metadata": {"name": "web1"}, "spec": {"link": {"controller": "br0"}}}"#
            #expect(try Self.effects(daemon, other) == [])
            // Leaving lets it rise.
            let rises = "the MTU of br0 rises from 1500 to 9000"
            #expect(try Self.effects(daemon, "", prune: true) == [rises])
            try daemon.delete("web0")
            #expect(try Interface("br0")?.mtu == 9_000)
            #expect(try Self.messages(daemon, "Deleted").contains { $0.contains(rises) })
        }
    }

    @Test func anAddressIsTold() async throws {
        try await withDaemon { (daemon) throws in
            try Self.makeBridge()
            let spec = #"{"link": {"controller": "br0", "macAddress": "02:00:00:00:00:07", "mtu": 9000}}"#
            let changes = "the MAC address of br0 changes from 52:54:00:12:34:56 to 02:00:00:00:00:07"
            #expect(try Self.effects(daemon, #"{"metadata": {"name": "web0"}, "spec": \#(spec)}"#) == [changes])
            try daemon.create("web0", spec: spec)
            #expect(try Interface("br0")?.macAddress == "02:00:00:00:00:07")
            try eventually("it is in the history") {
                try Self.messages(daemon, "BridgeChanged").contains { $0.contains(changes) }
            }
            try eventually("the status says so") {
                try daemon.condition("Ready", of: "web0")?.message.contains("br0 has its MAC address") == true
            }
            // A bridge with an address of its own takes no other.
            try run("ip", "link", "set", "br0", "address", "52:54:00:99:99:99")
            try eventually("it no longer has it") {
                try daemon.condition("Ready", of: "web0")?.message == "the kernel matches the spec"
            }
            #expect(try daemon.patch("web0", spec: #"{"link": {"controller": null}}"#).status == 200)
            #expect(try Self.effects(daemon, #"{"metadata": {"name": "web0"}, "spec": \#(spec)}"#) == [])
            #expect(try daemon.patch("web0", spec: #"{"link": {"controller": "br0"}}"#).status == 200)
            #expect(try Interface("br0")?.macAddress == "52:54:00:99:99:99")
        }
    }

    /// Neither an MTU set by hand, nor the bridge's own, nor a VRF's is changed by a device.
    @Test func nothingIsToldWhereNothingChanges() async throws {
        try await withDaemon { (daemon) throws in
            try Self.makeBridge()
            let device = #"{"metadata": {"name": "web0"}, "spec": {"link": {"controller": "br0", "#
            #expect(try Self.effects(daemon, device + #""mtuPolicy": "controller"}}}"#) == [])
            #expect(try Self.effects(daemon, device + #""mtu": 9000}}}"#) == [])
            try run("ip", "link", "set", "br0", "mtu", "8000")
            #expect(try Self.effects(daemon, device + #""mtu": 1500}}}"#) == [])
            try daemon.create("web0", spec: #"{"link": {"controller": "br0"}}"#)
            #expect(try Interface("br0")?.mtu == 8_000)
            #expect(try daemon.condition("Ready", of: "web0")?.message == "the kernel matches the spec")
            #expect(try Self.messages(daemon, "BridgeChanged") == [])
        }
    }
}
