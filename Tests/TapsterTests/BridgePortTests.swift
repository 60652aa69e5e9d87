import Foundation
import TestSupport
import Testing

/// What other programs set on a device's port of a bridge stays when Tapster joins the bridge again.
@Suite(.privileged) struct BridgePortTests {
    private static let inBridge = #"{"link": {"controller": "br0"}}"#
    /// Two tenants' isolation, and settings of each size.
    private static let words = [
        "isolated", "on", "learning", "off", "flood", "off", "mcast_flood", "off", "hairpin", "on", "guard", "on",
        "root_block", "on", "neigh_suppress", "on", "cost", "77", "priority", "5",
    ]
    /// The settings of `words` by name, as they are set on a port.
    private static func port(_ name: String) throws -> [String: String] {
        let shown = try run("bridge", "-d", "link", "show", "dev", name).split(whereSeparator: \.isWhitespace)
        let pairs = zip(shown, shown.dropFirst()).filter { key, _ in keys.contains(String(key)) }
        return Dictionary(pairs.map { (String($0), String($1)) }, uniquingKeysWith: { first, _ in first })
    }

    private static let keys = stride(from: 0, to: words.count, by: 2).map { words[$0] }
    private static let shown = Dictionary(
        uniqueKeysWithValues: stride(from: 0, to: words.count, by: 2).map { (words[$0], words[$0 + 1]) })

    /// Sets everything, and waits until the daemon has seen it.
    private static func prepare(_ daemon: Daemon) throws {
        try run("ip", "link", "add", "br0", "up", "type", "bridge")
        #expect(try daemon.create("web0", spec: inBridge).status == 201)
        try run("bridge", ["link", "set", "dev", "web0"] + words)
        _ = try daemon.send("POST", "/v1/reconcile?wait=10s")
        #expect(try port("web0") == shown)
    }

    private static func expectRestored(_ daemon: Daemon, _ when: String) throws {
        try eventually("the port is restored \(when)") {
            try Interface("web0")?.controller == "br0" && port("web0") == shown
        }
        try daemon.waitUntilReady("web0")
        try daemon.waitForHistory("PortRestored", of: "web0")
        #expect(try daemon.events(of: "web0").allSatisfy { $0.reason != "PortNotRestored" })
    }

    @Test func aRepairRestoresThePort() async throws {
        try await withDaemon { (daemon) throws in
            try Self.prepare(daemon)
            try run("ip", "link", "set", "web0", "nomaster")
            try Self.expectRestored(daemon, "after it left")
            try run("ip", "link", "add", "br1", "type", "bridge")
            try run("ip", "link", "set", "web0", "master", "br1")
            try Self.expectRestored(daemon, "after another bridge")
            try run("ip", "link", "del", "br0")
            try daemon.waitForReason("ControllerMissing", of: "web0")
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            try Self.expectRestored(daemon, "on a new bridge")
        }
    }

    @Test func aNewInterfaceHasThePortsSettings() async throws {
        try await withDaemon { (daemon) throws in
            try Self.prepare(daemon)
            try run("ip", "link", "del", "web0")
            try Self.expectRestored(daemon, "after it was removed")
            let before = try Interface("web0")?.index
            #expect(try daemon.patch("web0", spec: #"{"multiQueue": false}"#, recreate: true).status == 200)
            #expect(try Interface("web0")?.index != before)
            try Self.expectRestored(daemon, "after it was made anew")
            daemon.kill()
            try daemon.start()
            try run("ip", "link", "set", "web0", "nomaster")
            try Self.expectRestored(daemon, "after a restart")
        }
    }

    /// A port without settings gets none, nor does a later device of the name.
    @Test func nothingElseIsSet() async throws {
        try await withDaemon { (daemon) throws in
            try Self.prepare(daemon)
            try daemon.create("web1", spec: Self.inBridge)
            let initial = try Self.port("web1")
            try run("ip", "link", "set", "web1", "nomaster")
            try eventually("it is back") { try Interface("web1")?.controller == "br0" }
            #expect(try Self.port("web1") == initial)
            // On another bridge, as the spec says, it is a new port.
            try run("ip", "link", "add", "br1", "up", "type", "bridge")
            #expect(try daemon.patch("web0", spec: #"{"link": {"controller": "br1"}}"#).status == 200)
            #expect(try Self.port("web0") == initial)
            try run("bridge", "link", "set", "dev", "web0", "isolated", "on")
            try daemon.delete("web0")
            try daemon.create("web0", spec: #"{"link": {"controller": "br1"}}"#)
            #expect(try Self.port("web0") == initial)
            #expect(try daemon.events(of: "web1").allSatisfy { !$0.reason.hasPrefix("Port") })
        }
    }

    /// The rest is set although the kernel refuses one of the settings.
    @Test func whatCannotBeSetIsReported() async throws {
        try await withDaemon { (daemon) throws in
            try Self.prepare(daemon)
            try run("ip", "tuntap", "add", "dev", "p0", "mode", "tap")
            try run("ip", "link", "set", "p0", "master", "br0")
            try run("bridge", "link", "set", "dev", "web0", "backup_port", "p0")
            _ = try daemon.send("POST", "/v1/reconcile?wait=10s")
            daemon.process?.pause()
            try run("ip", "link", "del", "p0")
            try run("ip", "link", "set", "web0", "nomaster")
            daemon.process?.signal(SIGCONT)
            try daemon.waitForHistory("PortNotRestored", of: "web0")
            #expect(try Self.port("web0") == Self.shown)
            try daemon.waitUntilReady("web0")
        }
    }
}
