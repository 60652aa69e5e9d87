import Foundation
import TestSupport
import Testing

/// Fields that other programs set by trade: the controller, the queue discipline, and the MTU of a bridge.
@Suite(.privileged) struct UnmanagedFieldTests {
    private static let unmanaged = #"{"link": {"controllerPolicy": "unmanaged"}}"#

    /// Waits until the daemon has read the kernel, after which it would have repaired what differs.
    private static func look(_ daemon: Daemon) throws {
        #expect(try daemon.send("POST", "/v1/reconcile?wait=10s").status == 200)
    }

    private static func expectUntouched(_ daemon: Daemon, _ name: String, _ when: String) throws {
        try look(daemon)
        #expect(try daemon.phase(name) == "Ready", "\(when)")
        #expect(try daemon.drift(of: name) == [], "\(when)")
        #expect(try daemon.events(of: name).allSatisfy { !$0.reason.hasPrefix("Drift") }, "\(when)")
    }

    @Test(arguments: ["repair", "report"]) func othersJoinAndLeave(driftPolicy: String) async throws {
        try await withDaemon { (daemon) throws in
            for bridge in ["br0", "br1"] { try run("ip", "link", "add", bridge, "type", "bridge") }
            let spec = #"{"driftPolicy": "\#(driftPolicy)", "link": {"controllerPolicy": "unmanaged"}}"#
            #expect(try daemon.create("web0", spec: spec).status == 201)
            #expect(try Interface("web0")?.controller == nil)
            for (words, controller) in [
                (["master", "br0"], "br0"), (["master", "br1"], "br1"), (["nomaster"], nil),
                (["master", "br0"], "br0"),
            ] {
                try run("ip", ["link", "set", "web0"] + words)
                try Self.expectUntouched(daemon, "web0", "\(words)")
                #expect(try Interface("web0")?.controller == controller)
            }
            // Changes of other fields and repairs of other fields leave the controller too.
            #expect(try daemon.patch("web0", spec: #"{"link": {"alias": "x", "mtu": 1400}}"#).status == 200)
            #expect(try Interface("web0")?.controller == "br0")
            #expect(try Interface("web0")?.mtu == 1_400)
            daemon.kill()
            try daemon.start()
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.controller == "br0")
        }
    }

    @Test func aStatedControllerIsAContradiction() async throws {
        try await withDaemon { (daemon) throws in
            let both = #"{"link": {"controllerPolicy": "unmanaged", "controller": "br0"}}"#
            let refused = try daemon.create("web0", spec: both)
            #expect(refused.status == 422)
            #expect(refused.text.contains("/spec/link/controller"))
            // From managed to unmanaged, the interface stays where it is; back again, it goes where the spec says.
            try run("ip", "link", "add", "br0", "type", "bridge")
            try daemon.create("web0", spec: #"{"link": {"controller": "br0"}}"#)
            let leave = #"{"link": {"controller": null, "controllerPolicy": "unmanaged"}}"#
            #expect(try daemon.patch("web0", spec: leave).status == 200)
            #expect(try Interface("web0")?.controller == "br0")
            #expect(try daemon.patch("web0", spec: #"{"link": {"controllerPolicy": "managed"}}"#).status == 200)
            #expect(try Interface("web0")?.controller == nil)
        }
    }

    @Test(arguments: ["pfifo", "bfifo", "noqueue"]) func aForeignQueueDisciplineStays(kind: String) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2, "link": {"queueDiscipline": "unmanaged"}}"#)
            #expect(try Interface("web0")?.queueDiscipline == "mq")
            try run("tc", "qdisc", "add", "dev", "web0", "root", kind)
            try Self.expectUntouched(daemon, "web0", kind)
            #expect(try Interface("web0")?.queueDiscipline == kind)
            // Neither a change of the spec nor a repair of another field removes it.
            #expect(try daemon.patch("web0", spec: #"{"link": {"alias": "x"}}"#).status == 200)
            try run("ip", "link", "set", "web0", "mtu", "1400")
            try eventually("the MTU is repaired") { try Interface("web0")?.mtu == 1_500 }
            #expect(try Interface("web0")?.queueDiscipline == kind)
        }
    }

    /// `kernelDefault` replaces only `noqueue`.
    @Test func theKernelsDefaultLeavesAnyOther() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"link": {"queueDiscipline": "kernelDefault"}}"#)
            try run("tc", "qdisc", "replace", "dev", "web0", "root", "pfifo")
            try Self.expectUntouched(daemon, "web0", "pfifo")
            #expect(try Interface("web0")?.queueDiscipline == "pfifo")
            try run("tc", "qdisc", "replace", "dev", "web0", "root", "noqueue")
            try eventually("it is the kernel's") { try Interface("web0")?.queueDiscipline == "mq" }
        }
    }

    // MARK: The bridge's MTU

    private static func makeBridge(_ name: String, portMTU: Int) throws {
        try run("ip", "link", "add", name, "up", "type", "bridge")
        try run("ip", "tuntap", "add", "dev", "\(name)p", "mode", "tap")
        try run("ip", "link", "set", "\(name)p", "mtu", "\(portMTU)", "master", name, "up")
    }

    @Test(arguments: ["repair", "report"]) func theMTUFollowsTheBridge(driftPolicy: String) async throws {
        try await withDaemon { (daemon) throws in
            try Self.makeBridge("br0", portMTU: 9_000)
            let spec = #"{"driftPolicy": "\#(driftPolicy)", "link": {"controller": "br0", "mtuPolicy": "controller"}}"#
            let created = try daemon.create("web0", spec: spec)
            #expect(created.status == 201)
            #expect(created["status", "mtu"] as? Int == 9_000)
            #expect(try Interface("br0")?.mtu == 9_000)
            // Down with another port, and by hand in both directions.
            try run("ip", "link", "set", "br0p", "mtu", "4000")
            try eventually("it follows down") { try Interface("web0")?.mtu == 4_000 }
            try run("ip", "link", "set", "br0", "mtu", "2000")
            try eventually("it follows the hand") { try Interface("web0")?.mtu == 2_000 }
            try run("ip", "link", "set", "br0", "mtu", "8000")
            try eventually("it follows the hand up") { try Interface("web0")?.mtu == 8_000 }
            try daemon.waitUntilReady("web0")
            try Self.expectUntouched(daemon, "web0", "after all")
            // Without a bridge the stated MTU applies, and a VRF or a bridge that is missing is none.
            let alone = #"{"link": {"controller": null, "mtu": 1400}}"#
            #expect(try daemon.patch("web0", spec: alone).status == 200)
            #expect(try Interface("web0")?.mtu == 1_400)
        }
    }

    @Test func theMTUFollowsTheBridgeThatOthersChoose() async throws {
        try await withDaemon { (daemon) throws in
            // Otherwise the bridge would take the MTU of the port that joins, before it can be changed.
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            try run("ip", "link", "set", "br0", "mtu", "9000")
            let spec = #"{"link": {"controllerPolicy": "unmanaged", "mtuPolicy": "controller", "mtu": 1300}}"#
            try daemon.create("web0", spec: spec)
            #expect(try Interface("web0")?.mtu == 1_300)
            try run("ip", "link", "set", "web0", "master", "br0")
            try eventually("it has the bridge's") { try Interface("web0")?.mtu == 9_000 }
            try run("ip", "link", "set", "web0", "nomaster")
            try eventually("it has its own") { try Interface("web0")?.mtu == 1_300 }
            // A tap's MTU has a limit below a bridge's.
            try run("ip", "link", "set", "br0", "mtu", "65535")
            try run("ip", "link", "set", "web0", "master", "br0")
            try eventually("it has its largest") { try Interface("web0")?.mtu == 65_521 }
            try daemon.waitUntilReady("web0")
        }
    }

    // MARK: The bridge's MAC address

    /// The bridge takes the lowest address of its ports: with an uplink of an ordinary address, never that of a device.
    @Test func aBridgeKeepsItsAddress() async throws {
        try await withDaemon { (daemon) throws in
            for round in 0..<3 {
                let bridge = "br\(round)"
                try run("ip", "link", "add", bridge, "up", "type", "bridge")
                try run("ip", "tuntap", "add", "dev", "up\(round)", "mode", "tap")
                let address = "52:54:00:12:34:5\(round)"
                try run("ip", "link", "set", "up\(round)", "address", address, "master", bridge, "up")
                let before = try #require(try Interface(bridge)?.macAddress)
                for name in ["a\(round)", "b\(round)", "c\(round)"] {
                    try daemon.create(name, spec: #"{"link": {"controller": "\#(bridge)"}}"#)
                    #expect(try Interface(name)?.macAddress?.hasPrefix("fe:") == true)
                    #expect(try Interface(bridge)?.macAddress == before)
                }
                try daemon.delete("a\(round)")
                #expect(try Interface(bridge)?.macAddress == before)
                // A new interface has the old one's address.
                let derived = try Interface("b\(round)")?.macAddress
                try run("ip", "link", "del", "b\(round)")
                try eventually("it is back") { try Interface("b\(round)")?.macAddress == derived }
            }
        }
    }
}
