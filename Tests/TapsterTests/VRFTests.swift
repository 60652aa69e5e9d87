import Foundation
import TestSupport
import Testing

/// Devices that belong to a VRF, which has its own routing table (`Documentation/networking/vrf.rst`).
@Suite(.privileged, .needs(.vrf)) struct VRFTests {
    private static let addresses = ["192.0.2.1/24", "2001:db8::1/64"]
    private static let inVRF = #"{"controller": "vrf0", "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}"#

    private static func makeVRF() throws {
        try run("ip", "link", "add", "vrf0", "up", "type", "vrf", "table", "10")
    }

    /// Whether the networks of its addresses are in the VRF's table.
    private static func isRouted(_ name: String) throws -> Bool {
        try ["-4", "-6"].allSatisfy { family in
            try run("ip", family, "route", "show", "table", "10").contains(" dev \(name) ")
        }
    }

    private static func expectBelonging(_ name: String, _ daemon: Daemon, _ when: String) throws {
        try daemon.waitUntilReady(name)
        try eventually("\(name) is routed \(when)") { try isRouted(name) }
        let link = try #require(try Interface(name))
        #expect(link.controller == "vrf0", "\(when)")
        #expect(link.addresses == addresses, "\(when)")
        #expect(try daemon.drift(of: name) == [], "\(when)")
    }

    /// A tun has no MAC address, but can belong to a VRF.
    @Test(arguments: ["tap", "tun"]) func aDeviceWaitsForItsVRF(kind: String) async throws {
        try await withDaemon { (daemon) throws in
            let spec = #"{"kind": "\#(kind)", "link": \#(Self.inVRF)}"#
            _ = try daemon.create("web0", spec: spec, wait: "1ms")
            // The kernel routes nothing through an interface without a carrier.
            let consumer = try? kind == "tap" ? LeaseHolder(daemon, "web0") : nil
            try daemon.waitForReason("ControllerMissing", of: "web0")
            let before = try #require(try Interface("web0"))
            try Self.makeVRF()
            try Self.expectBelonging("web0", daemon, "at first")
            // The VRF is deleted and created again.
            try run("ip", "link", "del", "vrf0")
            try daemon.waitForReason("ControllerMissing", of: "web0")
            #expect(try daemon.drift(of: "web0").contains("link.controller"))
            try Self.makeVRF()
            try Self.expectBelonging("web0", daemon, "again")
            #expect(try Interface("web0")?.index == before.index)
            _ = consumer
        }
    }

    /// Leaving a VRF takes the interface down for a moment, which removes its IPv6 addresses.
    @Test func aDeviceThatLeavesItsVRFComesBack() async throws {
        try await withDaemon { (daemon) throws in
            try Self.makeVRF()
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            #expect(try daemon.create("web0", spec: #"{"link": \#(Self.inVRF)}"#).status == 201)
            try Self.expectBelonging("web0", daemon, "at first")
            for (count, words) in [(1, ["nomaster"]), (2, ["master", "br0"])] {
                try run("ip", ["link", "set", "web0"] + words)
                try eventually("it is counted") {
                    try daemon.metric(#"tapster_drift_repairs_total{field="link.controller"}"#) == "\(count)"
                }
                try Self.expectBelonging("web0", daemon, "after \(words)")
            }
        }
    }

    @Test func aDeviceMovesFromABridgeToAVRFAndBack() async throws {
        try await withDaemon { (daemon) throws in
            try Self.makeVRF()
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            let addresses = #""addresses": ["192.0.2.1/24", "2001:db8::1/64"]"#
            let inBridge = #"{"link": {"controller": "br0", \#(addresses)}}"#
            #expect(try daemon.create("web0", spec: inBridge).status == 201)
            let before = try #require(try Interface("web0"))
            #expect(before.controller == "br0")
            #expect(try daemon.patch("web0", spec: #"{"link": \#(Self.inVRF)}"#).status == 200)
            try Self.expectBelonging("web0", daemon, "then")
            #expect(try daemon.patch("web0", spec: inBridge).status == 200)
            let after = try #require(try Interface("web0"))
            #expect(after.controller == "br0")
            #expect(after.addresses == Self.addresses)
            #expect(after.index == before.index)
        }
    }
}
