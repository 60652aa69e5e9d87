import Foundation
import Glibc
import TestSupport
import Testing

/// Devices in other network namespaces than the daemon's.
@Suite(.privileged) struct NamespaceTests {
    private static func spec(_ namespace: NamedNamespace, _ more: String = "") -> String {
        #"{"networkNamespace": "\#(namespace.location)"\#(more)}"#
    }

    @Test(arguments: [true, false]) func aDeviceIsKeptThere(isNamed: Bool) async throws {
        try await withDaemon { (daemon) throws in
            let namespace = isNamed ? NamedNamespace() : NamedNamespace(in: daemon.directory)
            try namespace.make()
            try namespace.ip("link", "add", "br0", "type", "bridge")
            let link = #""link": {"controller": "br0", "addresses": ["192.0.2.1/24"]}"#
            let more = #", "access": "open", "multiQueue": true, \#(link)"#
            #expect(try daemon.create("web0", spec: Self.spec(namespace, more)).status == 201)
            #expect(try Interface("web0") == nil)
            let made = try #require(try namespace.interface("web0"))
            #expect(made.tun("numdisabled") == "1")
            #expect(made.controller == "br0")
            #expect(made.addresses == ["192.0.2.1/24"])
            let words = ["mtu 1400", "alias yours", "nomaster", "name stolen"]
            for word in words {
                try run(
                    in: namespace.path, ["ip", "link", "set", "web0"] + word.split(separator: " ").map(String.init))
                try eventually("\(word) is repaired") {
                    let link = try namespace.interface("web0")
                    return link?.mtu == 1_500 && link?.alias == nil && link?.controller == "br0"
                }
                #expect(try namespace.interface("web0")?.index == made.index)
            }
            try namespace.ip("address", "del", "192.0.2.1/24", "dev", "web0")
            try eventually("the address is back") {
                try namespace.interface("web0")?.addresses == ["192.0.2.1/24"]
            }
            try namespace.ip("link", "del", "web0")
            try eventually("it is made again") { try namespace.interface("web0")?.addresses == ["192.0.2.1/24"] }
            #expect(try daemon.delete("web0").status == 200)
            #expect(try namespace.interface("web0") == nil)
        }
    }

    @Test(arguments: [true, false]) func aDeviceWaitsForItsNamespace(isNamed: Bool) async throws {
        try await withDaemon { (daemon) throws in
            let namespace = isNamed ? NamedNamespace() : NamedNamespace(in: daemon.directory)
            #expect(try daemon.create("web0", spec: Self.spec(namespace), wait: "1ms").status == 202)
            try daemon.waitForReason("NamespaceMissing", of: "web0")
            #expect(try daemon.condition("Ready", of: "web0")?.message.contains(namespace.path) == true)
            #expect(try Interface("web0") == nil)
            try namespace.make()
            try daemon.waitUntilReady("web0")
            #expect(try namespace.interface("web0") != nil)
        }
    }

    @Test func aDeviceWithoutItsNamespaceCanBeDeleted() async throws {
        try await withDaemon { (daemon) throws in
            let namespace = NamedNamespace()
            _ = try daemon.create("never0", spec: Self.spec(namespace), wait: "1ms")
            try daemon.waitForReason("NamespaceMissing", of: "never0")
            #expect(try daemon.delete("never0").status == 200)
            try namespace.make()
            #expect(try daemon.create("web0", spec: Self.spec(namespace)).status == 201)
            try namespace.remove()
            #expect(try daemon.delete("web0").status == 200)
            #expect(try daemon.send("GET", "/v1/devices/web0").status == 404)
        }
    }

    @Test(arguments: [true, false]) func aDeletedNamespaceIsClosed(isNamed: Bool) async throws {
        try await withDaemon { (daemon) throws in
            let namespace = isNamed ? NamedNamespace() : NamedNamespace(in: daemon.directory)
            // Serving requests and waiting opens descriptors of its own.
            _ = try daemon.create("web0", spec: Self.spec(namespace, #", "access": "open""#), wait: "1ms")
            try daemon.waitForReason("NamespaceMissing", of: "web0")
            let before = daemon.idleDescriptors
            for _ in 0..<3 {
                try namespace.make()
                try daemon.waitUntilReady("web0")
                let inode = try #require(namespace.inode)
                #expect(daemon.holds(inode))
                // Unmounting without MNT_DETACH would fail while the file is held.
                try namespace.remove()
                try daemon.waitForReason("NamespaceMissing", of: "web0")
                try eventually("it is closed") { !daemon.holds(inode) && daemon.idleDescriptors <= before }
            }
            #expect(try daemon.condition("Drifted", of: "web0")?.holds == false)
            #expect(try daemon.metric(#"tapster_drift_repairs_total{field="device"}"#) == "0")
        }
    }

    @Test func aNamespaceThatWasReplacedGetsItsDevice() async throws {
        try await withDaemon { (daemon) throws in
            let namespace = NamedNamespace()
            try namespace.make()
            _ = try daemon.create("web0", spec: Self.spec(namespace))
            for _ in 0..<5 {
                try run("sh", "-c", "ip netns del \(namespace.location) && ip netns add \(namespace.location)")
                try eventually("the device is made") { try namespace.interface("web0")?.isUp == true }
            }
            try daemon.waitUntilReady("web0")
        }
    }

    /// Opening a FIFO blocks, and opening some devices has effects: a file that is not a namespace is never opened.
    @Test func aFileThatIsNotANamespaceIsNotOpened() async throws {
        try await withDaemon { (daemon) throws in
            let directory = daemon.directory + "/places"
            try run("mkdir", directory)
            try run("touch", directory + "/file")
            try run("mkfifo", directory + "/fifo")
            try run("mkdir", directory + "/directory")
            try run("ln", "-s", directory + "/nowhere", directory + "/dangling")
            try run("ln", "-s", directory + "/loop", directory + "/loop")
            let watch = inotify_init1(Int32(IN_NONBLOCK))
            defer { close(watch) }
            #expect(inotify_add_watch(watch, directory, UInt32(IN_OPEN)) > 0)
            let places =
                ["file", "fifo", "directory", "dangling", "loop", "file/below"].map { directory + "/" + $0 }
                + ["/dev/null", "/dev/net/tun", "/proc/self/ns/mnt", "/proc/self/mem", "/nowhere/at/all"]
            for (number, place) in places.enumerated() {
                let spec = #"{"networkNamespace": "\#(place)"}"#
                #expect(try daemon.create("d\(number)", spec: spec, wait: "1ms").status == 202)
            }
            for (number, place) in places.enumerated() {
                try daemon.waitForReason("NamespaceMissing", of: "d\(number)")
                #expect(try daemon.condition("Ready", of: "d\(number)")?.message.contains(place) == true)
            }
            var events = [UInt8](repeating: 0, count: 4_096)
            #expect(read(watch, &events, events.count) == -1, "something was opened")
            // The daemon is not blocked.
            #expect(try daemon.create("web0").status == 201)
        }
    }

    @Test func aDeviceMovesWithRecreate() async throws {
        try await withDaemon { (daemon) throws in
            let places = [NamedNamespace(), NamedNamespace(in: daemon.directory)]
            for place in places { try place.make() }
            _ = try daemon.create("web0", spec: #"{"access": "open", "multiQueue": true}"#)
            let before = daemon.idleDescriptors
            let address = try #require(try Interface("web0")?.macAddress)
            let route: [NamedNamespace?] = [places[0], places[1], nil, places[1]]
            for place in route {
                let patch = #"{"networkNamespace": \#(place.map { "\"\($0.location)\"" } ?? "null")}"#
                #expect(try daemon.patch("web0", spec: patch).status == 409)
                #expect(try daemon.patch("web0", spec: patch, recreate: true).status == 200)
                for other in [nil] + places {
                    let link = try Interface("web0", in: other?.path)
                    #expect((link != nil) == (other?.path == place?.path))
                    if let link { #expect(link.macAddress == address) }
                }
            }
            _ = try daemon.patch("web0", spec: #"{"networkNamespace": null}"#, recreate: true)
            for place in places { try place.remove() }
            // The first waiting request creates a timer.
            try eventually("nothing is left open") { daemon.idleDescriptors <= before + 1 }
        }
    }

    /// The old namespace does not exist any more, or the new one does not exist yet.
    @Test func aMoveNeedsNoOldPlace() async throws {
        try await withDaemon { (daemon) throws in
            let (old, new) = (NamedNamespace(), NamedNamespace())
            try old.make()
            _ = try daemon.create("web0", spec: Self.spec(old))
            _ = try daemon.patch("web0", spec: Self.spec(new), wait: "1ms", recreate: true)
            try daemon.waitForReason("NamespaceMissing", of: "web0")
            try old.remove()
            try new.make()
            try daemon.waitUntilReady("web0")
            #expect(try new.interface("web0") != nil)
        }
    }

    @Test func killedAndStartedAgainItAdoptsThere() async throws {
        try await withDaemon { (daemon) throws in
            let places = [NamedNamespace(), NamedNamespace(in: daemon.directory)]
            for (number, place) in places.enumerated() {
                try place.make()
                for access in ["open", "brokered"] {
                    let spec = Self.spec(place, #", "access": "\#(access)", "multiQueue": true"#)
                    #expect(try daemon.create("\(access)\(number)", spec: spec).status == 201)
                }
            }
            let before = try places.map { try settledInterfaces(in: $0.path) }
            daemon.kill()
            try daemon.start()
            for (number, place) in places.enumerated() {
                #expect(try place.ip("-j", "link") == before[number])
                for access in ["open", "brokered"] { #expect(try daemon.phase("\(access)\(number)") == "Ready") }
                #expect(try place.interface("open\(number)")?.tun("numdisabled") == "1")
            }
            // The namespace was deleted while the daemon was down.
            daemon.kill()
            try places[0].remove()
            try daemon.start()
            try daemon.waitForReason("NamespaceMissing", of: "open0")
            try places[0].make()
            try daemon.waitUntilReady("open0")
            #expect(try daemon.phase("brokered1") == "Ready")
        }
    }
}
