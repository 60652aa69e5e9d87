import Foundation
import Glibc
import TestSupport
import Testing

/// Recognition of our interfaces when indexes and names are reused.
@Suite(.privileged) struct OwnershipTests {
    /// An interface that is moved between namespaces keeps its index, which may be that of a lost device of ours.
    @Test func aForeignInterfaceWithTheIndexOfALostDeviceIsLeftAlone() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("rep0", spec: #"{"driftPolicy": "report"}"#)
            let index = try #require(try Interface("rep0")?.index)
            try run("ip", "link", "del", "rep0")
            try daemon.waitForReason("DriftReported", of: "rep0")
            // Only a tun can be mistaken for ours, and only an interface that is moved in can choose its index.
            let elsewhere = NamedNamespace()
            try elsewhere.make()
            for number in 0... {
                try elsewhere.ip("tuntap", "add", "dev", "t\(number)", "mode", "tap", "multi_queue")
                guard try elsewhere.ip("-o", "link", "show", "t\(number)").hasPrefix("\(index):") else { continue }
                try elsewhere.ip(
                    "link", "set", "t\(number)", "name", "foreign0", "netns", "\(daemon.process?.identifier ?? 0)")
                break
            }
            #expect(try daemon.drift(of: "rep0") == ["device"])
            #expect(try daemon.delete("rep0").status == 200)
            #expect(try Interface("foreign0") != nil)
        }
    }

    /// A device must not adopt the interface of another device of ours that got its name.
    @Test func ourOwnInterfaceIsNotAdopted() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("x1", spec: #"{"adoption": "compatible"}"#)
            _ = try daemon.create("x2")
            let second = try #require(try Interface("x2")?.index)
            daemon.process?.pause()
            try run("ip", "link", "del", "x1")
            try run("ip", "link", "set", "x2", "name", "x1")
            daemon.process?.signal(SIGCONT)
            try eventually("both are there") {
                try Interface("x2")?.index == second && Interface("x1").map { $0.index != second } == true
            }
            try daemon.waitUntilReady("x1")
            try daemon.waitUntilReady("x2")
        }
    }

    /// Nor may a daemon that has just started and has not seen other interfaces yet.
    @Test func ourOwnInterfaceIsNotAdoptedByAStart() async throws {
        try await withDaemon { (daemon) throws in
            let numbers = 0..<6
            for number in numbers {
                _ = try daemon.create("a\(number)", spec: #"{"adoption": "compatible"}"#)
                _ = try daemon.create("b\(number)")
            }
            let before = try numbers.map { try Interface("b\($0)")?.index }
            daemon.kill()
            for number in numbers {
                try run("ip", "link", "del", "a\(number)")
                try run("ip", "link", "set", "b\(number)", "name", "a\(number)")
            }
            try daemon.start()
            for number in numbers {
                try daemon.waitUntilReady("a\(number)")
                try daemon.waitUntilReady("b\(number)")
                #expect(try Interface("b\(number)")?.index == before[number])
            }
        }
    }

    /// The interface of a device may already be deleted when its deletion is rolled back: that is not external drift.
    @Test func aRolledBackDeletionRestoresAReportingDevice() async throws {
        try await withDaemon { (daemon) throws in
            for round in 0..<4 {
                let names = (0..<20).map { "r\($0)" }
                let devices = names.map { #"{"metadata": {"name": "\#($0)"}, "spec": {"driftPolicy": "report"}}"# }
                let document = #"{"devices": [\#(devices.joined(separator: ","))]}"#
                #expect(try daemon.send("POST", "/v1/apply?wait=10s", json: document).status == 200)
                let answer = try daemon.send(
                    "POST", "/v1/apply?prune=true&confirmWithin=1h", json: #"{"devices": []}"#)
                let revision = try #require(answer["revision"] as? String)
                // Before, during and after the deletion.
                usleep(UInt32(round) * 15_000)
                #expect(try daemon.send("DELETE", "/v1/apply/\(revision)").status == 204)
                for name in names { try daemon.waitUntilReady(name) }
            }
        }
    }

    /// The bridge is configured before it exists and detected when it appears; after a restart as well.
    @Test func aNewBridgeIsDetected() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0")
            _ = try daemon.send("PATCH", "/v1/devices/web0", json: #"{"spec": {"link": {"controller": "br9"}}}"#)
            try daemon.waitForReason("ControllerMissing", of: "web0")
            daemon.kill()
            try daemon.start()
            try daemon.waitForReason("ControllerMissing", of: "web0")
            try run("ip", "link", "add", "br9", "type", "bridge")
            try daemon.waitUntilReady("web0")
        }
    }

    /// After a restart, address notifications of other namespaces are received too.
    @Test func addressesElsewhereAreKeptAfterARestart() async throws {
        try await withDaemon { (daemon) throws in
            let elsewhere = NamedNamespace()
            try elsewhere.make()
            _ = try daemon.create(
                "n0",
                spec: #"{"networkNamespace": "\#(elsewhere.location)", "link": {"addresses": ["10.7.0.1/24"]}}"#)
            daemon.kill()
            try daemon.start()
            try elsewhere.ip("addr", "del", "10.7.0.1/24", "dev", "n0")
            try eventually("it is back") { try elsewhere.ip("addr", "show", "dev", "n0").contains("10.7.0.1/24") }
        }
    }

    /// The message must not suggest to remove a device of ours.
    @Test func aNameOfAnotherDeviceIsReported() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("d1", spec: #"{"link": {"altNames": ["d2"]}}"#)
            _ = try daemon.create("d2", wait: "1ms")
            try daemon.waitForReason("NameTaken", of: "d2")
            #expect(try daemon.condition("Conflict", of: "d2")?.message.contains("device 'd1'") == true)
            _ = try daemon.patch("d1", spec: #"{"link": {"altNames": []}}"#)
            try daemon.waitUntilReady("d2")
        }
    }
}
