import Foundation
import TestSupport
import Testing

/// Devices that belong to a bridge.
@Suite(.privileged) struct ControllerTests {
    private static let inBridge = #"{"link": {"controller": "br0"}}"#

    @Test func aDeviceWaitsForItsBridge() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: Self.inBridge, wait: "1ms")
            try daemon.waitForReason("ControllerMissing", of: "web0")
            #expect(try daemon.condition("Ready", of: "web0")?.message.contains("'br0'") == true)
            #expect(try daemon.condition("Conflict", of: "web0")?.holds == false)
            // Everything else is done already.
            let before = try #require(try Interface("web0"))
            #expect(before.isUp)
            try run("ip", "link", "add", "br0", "type", "bridge")
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.controller == "br0")
            #expect(try Interface("web0")?.index == before.index)
        }
    }

    @Test func aBridgeThatGoesIsDriftUntilItIsBack() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "type", "bridge")
            _ = try daemon.create("web0", spec: Self.inBridge)
            let before = try #require(try Interface("web0"))
            for _ in 0..<2 {
                try run("ip", "link", "del", "br0")
                try daemon.waitForReason("ControllerMissing", of: "web0")
                #expect(try daemon.drift(of: "web0") == ["link.controller"])
                #expect(try daemon.condition("Drifted", of: "web0")?.holds == true)
                try run("ip", "link", "add", "br0", "type", "bridge")
                try daemon.waitUntilReady("web0")
                #expect(try Interface("web0")?.controller == "br0")
                #expect(try daemon.drift(of: "web0") == [])
            }
            // After a rename it is another bridge, and the new one of that name counts.
            try run("ip", "link", "set", "br0", "name", "br9")
            try daemon.waitForReason("ControllerMissing", of: "web0")
            try run("ip", "link", "set", "br9", "name", "br0")
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.index == before.index)
            #expect(try Interface("web0")?.carrierChanges == before.carrierChanges)
        }
    }

    /// However often a bridge is made anew, as by a restart of the program that manages it, this is no conflict.
    @Test func aBridgeThatIsMadeAnewIsJoinedAtOnce() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "type", "bridge")
            _ = try daemon.create("web0", spec: Self.inBridge)
            for _ in 0..<7 {
                try run("ip", "link", "del", "br0")
                try daemon.waitForReason("ControllerMissing", of: "web0")
                try run("ip", "link", "add", "br0", "type", "bridge")
                try eventually("it is joined") {
                    let conflict = try daemon.condition("Conflict", of: "web0")
                    guard conflict?.holds == false else { throw TestFailure("\(conflict?.message ?? "")") }
                    return try Interface("web0")?.controller == "br0" && daemon.phase("web0") == "Ready"
                }
            }
        }
    }

    @Test func aBridgeMayBeGivenByAnAlternativeName() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            _ = try daemon.create("web0", spec: #"{"link": {"controller": "tenant-7"}}"#, wait: "1ms")
            try daemon.waitForReason("ControllerMissing", of: "web0")
            try run("ip", "link", "property", "add", "dev", "br0", "altname", "tenant-7")
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.controller == "br0")
        }
    }

    @Test(arguments: ["tap", "lo", "ifb"]) func anInterfaceThatIsNotABridgeIsUnsuitable(kind: String) async throws {
        try await withDaemon { (daemon) throws in
            var name = "br0"
            switch kind {
            case "tap": try run("ip", "tuntap", "add", "dev", "br0", "mode", "tap")
            case "lo": name = "lo"
            default: try run("ip", "link", "add", "br0", "type", kind)
            }
            _ = try daemon.create("web0", spec: #"{"link": {"controller": "\#(name)"}}"#, wait: "1ms")
            try daemon.waitForReason("ControllerUnsuitable", of: "web0")
            #expect(try Interface("web0")?.controller == nil)
            guard name == "br0" else { return }
            try run("ip", "link", "del", "br0")
            try run("ip", "link", "add", "br0", "type", "bridge")
            try daemon.waitUntilReady("web0")
        }
    }

    @Test func aTunJoinsNoBridgeAndHasNoMAC() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "type", "bridge")
            let spec = #"{"kind": "tun", "link": {"addresses": ["192.0.2.1/32", "2001:db8::1/128"]}}"#
            #expect(try daemon.create("tun0", spec: spec).status == 201)
            let tun = try #require(try Interface("tun0"))
            #expect(tun.macAddress == nil)
            #expect(tun.addresses == ["192.0.2.1/32", "2001:db8::1/128"])
            _ = try daemon.patch("tun0", spec: Self.inBridge, wait: "1ms")
            try daemon.waitForReason("ControllerUnsuitable", of: "tun0")
            #expect(try Interface("tun0")?.controller == nil)
            #expect(try daemon.patch("tun0", spec: #"{"link": {"controller": null}}"#).status == 200)
            #expect(try Interface("tun0")?.index == tun.index)
        }
    }

    /// A bridge has the smallest MTU of its ports: a port that joined with 1,500 would cut the packets of the others
    /// short.
    @Test func aBridgeOfLargePacketsStaysSo() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            for port in ["p0", "p1"] {
                try run("ip", "tuntap", "add", "dev", port, "mode", "tap")
                try run("ip", "link", "set", port, "mtu", "9000", "master", "br0", "up")
            }
            #expect(try Interface("br0")?.mtu == 9_000)
            let record = daemon.directory + "/monitor"
            let monitor = try ChildProcess("ip", ["monitor", "link"], output: record)
            defer {
                monitor.signal(SIGTERM)
                monitor.wait()
            }
            func monitored() -> String { (try? String(contentsOfFile: record, encoding: .utf8)) ?? "" }
            try eventually("the monitor listens") {
                try run("ip", "link", "set", "p0", "alias", "\(UInt32.random(in: 0 ... .max))")
                return monitored().contains("p0")
            }
            let spec = #"{"link": {"mtu": 9000, "controller": "br0"}}"#
            #expect(try daemon.create("web0", spec: spec).status == 201)
            // It leaves the bridge, its MTU is reduced, and both are repaired: the MTU is again set first.
            daemon.process?.pause()
            try run("ip", "link", "set", "web0", "nomaster")
            try run("ip", "link", "set", "web0", "mtu", "1400")
            daemon.process?.signal(SIGCONT)
            try eventually("both are repaired") {
                try Interface("web0")?.controller == "br0" && Interface("web0")?.mtu == 9_000
            }
            // The kernel may not have reported anything about the bridge yet.
            try run("ip", "link", "set", "br0", "alias", "monitored")
            try run("ip", "link", "add", "the-end", "type", "bridge")
            try eventually("the monitor has reported all") { monitored().contains("the-end") }
            let ofBridge = monitored().split(separator: "\n").filter { $0.contains(": br0: ") }
            #expect(!ofBridge.isEmpty)
            for line in ofBridge { #expect(line.contains("mtu 9000"), "\(line)") }
        }
    }

    @Test func aFullBridgeTakesNoMore() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "type", "bridge")
            let ports = (1...1_022).map { "tuntap add dev p\($0) mode tap\nlink set p\($0) master br0\n" }
            try run("ip", "-batch", try Self.file(daemon, ports.joined()))
            // Two devices for one free port.
            for name in ["web0", "web1"] { _ = try daemon.create(name, spec: Self.inBridge, wait: "1ms") }
            let full = try eventuallyOne(of: ["web0", "web1"]) {
                try daemon.condition("Ready", of: $0)?.reason == "ControllerFull"
            }
            let other = full == "web0" ? "web1" : "web0"
            try daemon.waitUntilReady(other)
            #expect(try Interface(full)?.controller == nil)
            #expect(try daemon.condition("Ready", of: full)?.message.contains("1023") == true)
            // The other device takes the port that becomes free.
            #expect(try daemon.delete(other).status == 200)
            try daemon.waitUntilReady(full)
        }
    }

    private static func file(_ daemon: Daemon, _ lines: String) throws -> String {
        let path = daemon.directory + "/batch"
        try lines.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func eventuallyOne(of names: [String], _ isSo: (String) throws -> Bool) throws -> String {
        var found: String?
        try eventually("one of \(names)") {
            found = try names.first(where: isSo)
            return found != nil
        }
        return found ?? ""
    }
}
