import Foundation
import TestSupport
import Testing

/// Interfaces that another process moves to another network namespace.
@Suite(.privileged) struct MovedInterfaceTests {
    /// Runs `body` with a daemon and a namespace that it does not know.
    private static func withElsewhere(
        _ body: @escaping @Sendable (Daemon, NamedNamespace) throws -> Void
    ) async throws {
        try await withDaemon { (daemon) throws in
            let elsewhere = NamedNamespace()
            try elsewhere.make()
            try body(daemon, elsewhere)
        }
    }

    /// The messages of the device's events of this reason.
    private static func messages(_ reason: String, of name: String, _ daemon: Daemon) throws -> [String] {
        let items = try daemon.send("GET", "/v1/events?device=\(name)&limit=1000")["items"] as? [[String: Any]]
        return (items ?? []).filter { $0["reason"] as? String == reason }.compactMap { $0["message"] as? String }
    }

    private static func waitForMessage(
        _ part: String, _ reason: String, of name: String, _ daemon: Daemon
    ) throws {
        try eventually("an event \(reason) says '\(part)'") {
            try messages(reason, of: name, daemon).contains { $0.contains(part) }
        }
    }

    /// It is made anew here, and deleted there, where it would have the same MAC address and be in no list.
    @Test(arguments: [
        #"{}"#, #"{"access": "open", "multiQueue": true, "link": {"carrier": "on"}}"#, #"{"kind": "tun"}"#,
    ])
    func aMovedInterfaceIsReplaced(spec: String) async throws {
        try await Self.withElsewhere { (daemon, elsewhere) throws in
            _ = try daemon.create("mv1", spec: spec)
            let index = try #require(try Interface("mv1")?.index)
            // With its number taken, it gets another one.
            var others = 0
            while try elsewhere.interface("other\(others - 1)")?.index != index {
                try elsewhere.ip("tuntap", "add", "dev", "other\(others)", "mode", "tap")
                others += 1
                try #require(others <= index)
            }
            try run("ip", "link", "set", "mv1", "netns", elsewhere.location)
            try Self.waitForMessage("moved", "DriftRepaired", of: "mv1", daemon)
            try daemon.waitUntilReady("mv1")
            #expect(try Interface("mv1").map { $0.index != index } == true)
            #expect(try elsewhere.interface("mv1") == nil)
            #expect(try elsewhere.interface("other\(others - 1)")?.index == index)
            try Self.waitForMessage("deleted there", "DriftRepaired", of: "mv1", daemon)
        }
    }

    /// The consumer's lease ends, as it does when the interface is deleted.
    @Test func aLeaseOfAMovedInterfaceEnds() async throws {
        try await Self.withElsewhere { (daemon, elsewhere) throws in
            _ = try daemon.create("mv1")
            let holder = try LeaseHolder(daemon, "mv1")
            try run("ip", "link", "set", "mv1", "netns", elsewhere.location)
            try eventually("the lease is over") { holder.isOver }
            try daemon.waitUntilReady("mv1")
            #expect(holder.queues[0]?.isAttached == nil)
            #expect(try elsewhere.interface("mv1") == nil)
            #expect(try LeaseHolder(daemon, "mv1").queues[0]?.isAttached == true)
        }
    }

    @Test func aReportedMoveIsLeftUntilTheDeviceIsDeleted() async throws {
        try await Self.withElsewhere { (daemon, elsewhere) throws in
            _ = try daemon.create("mv1", spec: #"{"driftPolicy": "report"}"#)
            try run("ip", "link", "set", "mv1", "netns", elsewhere.location)
            try daemon.waitForReason("DriftReported", of: "mv1")
            #expect(try daemon.drift(of: "mv1") == ["device"])
            try Self.waitForMessage("moved", "DriftFound", of: "mv1", daemon)
            #expect(try elsewhere.interface("mv1") != nil)
            // Back, it is the device's again.
            try elsewhere.ip("link", "set", "mv1", "netns", "\(daemon.process?.identifier ?? 0)")
            try eventually("it is recognized") { try daemon.drift(of: "mv1").contains("link.up") }
            #expect(try !daemon.drift(of: "mv1").contains("device"))
            try run("ip", "link", "set", "mv1", "netns", elsewhere.location)
            try eventually("it is missing again") { try daemon.drift(of: "mv1") == ["device"] }
            #expect(try daemon.delete("mv1").status == 200)
            #expect(try elsewhere.interface("mv1") == nil)
        }
    }

    /// It gets its state back, and stays the same interface.
    @Test func anInterfaceThatIsMovedBackIsTheDevices() async throws {
        try await Self.withElsewhere { (daemon, elsewhere) throws in
            _ = try daemon.create("mv1", spec: #"{"link": {"addresses": ["10.9.0.1/24"], "mtu": 1400}}"#)
            let index = try #require(try Interface("mv1")?.index)
            daemon.process?.pause()
            try run("ip", "link", "set", "mv1", "netns", elsewhere.location)
            try elsewhere.ip("link", "set", "mv1", "mtu", "1300")
            try elsewhere.ip("link", "set", "mv1", "netns", "\(daemon.process?.identifier ?? 0)")
            daemon.process?.signal(SIGCONT)
            try eventually("it is repaired") {
                let link = try Interface("mv1")
                return link?.isUp == true && link?.mtu == 1_400 && link?.addresses == ["10.9.0.1/24"]
            }
            try daemon.waitUntilReady("mv1")
            #expect(try Interface("mv1")?.index == index)
        }
    }

    /// What has taken its place there is not deleted.
    @Test func whatIsNotTheDevicesIsNotDeletedThere() async throws {
        try await Self.withElsewhere { (daemon, elsewhere) throws in
            _ = try daemon.create("mv1")
            daemon.process?.pause()
            let index = try #require(try Interface("mv1")?.index)
            try run("ip", "link", "set", "mv1", "netns", elsewhere.location)
            #expect(try elsewhere.interface("mv1")?.index == index)
            try elsewhere.ip("link", "del", "mv1")
            try Consumer.make("other0", index: index, in: elsewhere)
            daemon.process?.signal(SIGCONT)
            try Self.waitForMessage("moved", "DriftRepaired", of: "mv1", daemon)
            try daemon.waitUntilReady("mv1")
            #expect(try elsewhere.interface("other0")?.index == index)
        }
    }

    /// Both namespaces are ones that the daemon manages.
    @Test func aMoveBetweenManagedNamespacesIsUndone() async throws {
        try await Self.withElsewhere { (daemon, elsewhere) throws in
            _ = try daemon.create("mv1", spec: #"{"networkNamespace": "\#(elsewhere.location)"}"#)
            _ = try daemon.create("home0")
            try elsewhere.ip("link", "set", "mv1", "netns", "\(daemon.process?.identifier ?? 0)")
            try Self.waitForMessage("moved", "DriftRepaired", of: "mv1", daemon)
            try eventually("it is gone here") { try Interface("mv1") == nil }
            #expect(try elsewhere.interface("mv1")?.isUp == true)
        }
    }

    /// The namespace is deleted with the interface in it.
    @Test func anInterfaceThatGoesWithItsNewNamespaceIsReplaced() async throws {
        try await Self.withElsewhere { (daemon, elsewhere) throws in
            _ = try daemon.create("mv1")
            daemon.process?.pause()
            try run("ip", "link", "set", "mv1", "netns", elsewhere.location)
            try elsewhere.remove()
            daemon.process?.signal(SIGCONT)
            try Self.waitForMessage("moved", "DriftRepaired", of: "mv1", daemon)
            try daemon.waitUntilReady("mv1")
            #expect(try Interface("mv1")?.isUp == true)
        }
    }
}
