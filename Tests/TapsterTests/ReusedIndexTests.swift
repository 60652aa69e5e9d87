import Foundation
import GRDB
import Glibc
import TestSupport
import Testing

/// Interfaces of other processes that have got the number of one of ours, which can be asked for (`TUNSETIFINDEX`).
@Suite(.privileged) struct ReusedIndexTests {
    /// A stranger's interface, which must stay as it is.
    private struct Stranger {
        let name: String
        let index: Int
        private let before: [String?]

        /// Makes it with the number of the interface `device`, which is removed.
        init(replacing device: String, as name: String) throws {
            self.name = name
            index = try #require(try Interface(device)?.index)
            try run("ip", "link", "del", device)
            try Consumer.make(name, index: index)
            try run("ip", "link", "set", name, "mtu", "9000", "alias", "stranger", "address", "02:00:00:00:00:99")
            before = try Self.settings(name)
            #expect(try Interface(name)?.index == index)
        }

        private static func settings(_ name: String) throws -> [String?] {
            let link = try #require(try Interface(name))
            return [
                link.index.map { "\($0)" }, link.mtu.map { "\($0)" }, link.macAddress, link.alias, link.controller,
                "\(link.isUp)", link.queueDiscipline, link.tun("user"),
            ]
        }

        func expectUntouched() throws { #expect(try Self.settings(name) == before) }
    }

    private static func index(of name: String) throws -> Int? { try Interface(name)?.index }

    @Test(arguments: ["while the daemon is down", "while it runs"])
    func aStrangersInterfaceWithOurNumberIsLeftAlone(moment: String) async throws {
        try await withDaemon { (daemon) throws in
            for name in ["d0", "d1"] { _ = try daemon.create(name) }
            let other = try Self.index(of: "d1")
            if moment == "while it runs" { daemon.process?.pause() } else { daemon.kill() }
            let stranger = try Stranger(replacing: "d0", as: "str0")
            if moment == "while it runs" { daemon.process?.signal(SIGCONT) } else { try daemon.start() }
            try daemon.waitForHistory("InterfaceReplaced", of: "d0")
            try daemon.waitUntilReady("d0")
            #expect(try Self.index(of: "d0") != nil)
            try stranger.expectUntouched()
            // It belongs to no device: it is listed, and survives a deletion.
            #expect(try daemon.send("GET", "/v1/unmanaged").text.contains("str0"))
            #expect(try daemon.delete("d0").status == 200)
            try stranger.expectUntouched()
            // The other device is the same as before.
            #expect(try Self.index(of: "d1") == other)
        }
    }

    /// The stranger has the device's name too.
    @Test func aStrangersInterfaceWithOurNameAndNumberIsAConflict() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("d0")
            daemon.kill()
            let stranger = try Stranger(replacing: "d0", as: "d0")
            try daemon.start()
            try daemon.waitForReason("ForeignDevice", of: "d0")
            try stranger.expectUntouched()
            #expect(throws: LeaseHolder.Refusal.self) { try LeaseHolder(daemon, "d0") }
            #expect(try daemon.delete("d0").status == 200)
            try stranger.expectUntouched()
        }
    }

    /// The deletion was requested before.
    @Test func aStrangersInterfaceIsNotDeletedInstead() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("d0")
            daemon.process?.pause()
            let stranger = try Stranger(replacing: "d0", as: "str0")
            let client = try daemon.connect()
            try client.write("DELETE /v1/devices/d0?force=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
            daemon.process?.signal(SIGCONT)
            try eventually("it is forgotten") { try daemon.send("GET", "/v1/devices/d0").status == 404 }
            try stranger.expectUntouched()
        }
    }

    @Test func inAnotherNamespaceToo() async throws {
        try await withDaemon { (daemon) throws in
            let elsewhere = NamedNamespace()
            try elsewhere.make()
            _ = try daemon.create("d0", spec: #"{"networkNamespace": "\#(elsewhere.location)"}"#)
            let index = try #require(try elsewhere.interface("d0")?.index)
            daemon.kill()
            try elsewhere.ip("link", "del", "d0")
            // An interface that is moved keeps its number if it is free.
            try Consumer.make("str0", index: index)
            try run("ip", "link", "set", "str0", "netns", elsewhere.location)
            try elsewhere.ip("link", "set", "str0", "mtu", "9000")
            #expect(try elsewhere.interface("str0")?.index == index)
            try daemon.start()
            try daemon.waitForHistory("InterfaceReplaced", of: "d0")
            try daemon.waitUntilReady("d0")
            #expect(try elsewhere.interface("d0")?.index != index)
            #expect(try daemon.delete("d0").status == 200)
            #expect(try elsewhere.interface("str0")?.index == index)
            #expect(try elsewhere.interface("str0")?.mtu == 9_000)
        }
    }

    @Test func ourOwnInterfaceStaysOurs() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("d0")
            let index = try Self.index(of: "d0")
            daemon.kill()
            try run("ip", "link", "set", "d0", "down")
            try run("ip", "link", "set", "d0", "name", "renamed0", "address", "02:00:00:00:00:98", "mtu", "1400")
            try daemon.start()
            try daemon.waitUntilReady("d0")
            #expect(try Self.index(of: "d0") == index)
            #expect(try Interface("d0")?.mtu == 1_500)
        }
    }

    /// A database of an earlier version has no inodes: the interface is recognized by all else, and its inode is noted.
    @Test(arguments: [false, true]) func claimsWithoutAnInodeAreCompleted(isReplaced: Bool) async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("d0")
            let index = try Self.index(of: "d0")
            #expect(daemon.stop() == 0)
            let database = try DatabaseQueue(path: daemon.database)
            func inode() throws -> Int64? {
                try database.read { try Int64.fetchOne($0, sql: "SELECT inode FROM claim") }
            }
            let before = try #require(try inode())
            try database.write { try $0.execute(sql: "UPDATE claim SET inode = NULL, digest = NULL") }
            let stranger = isReplaced ? try Stranger(replacing: "d0", as: "str0") : nil
            try daemon.start()
            try daemon.waitUntilReady("d0")
            try stranger?.expectUntouched()
            #expect(try (Self.index(of: "d0") == index) == !isReplaced)
            #expect(daemon.stop() == 0)
            #expect(try (inode() == before) == !isReplaced)
        }
    }
}
