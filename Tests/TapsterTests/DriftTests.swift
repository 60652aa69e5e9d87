import Foundation
import TestSupport
import Testing

/// What is done about drift, and when it is left alone.
@Suite(.privileged) struct DriftTests {
    @Test func reportedDriftIsLeftAlone() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"driftPolicy": "report", "link": {"alias": "mine"}}"#)
            let before = try #require(try Interface("web0"))
            try run("ip", "link", "set", "web0", "mtu", "1400")
            try run("ip", "link", "set", "web0", "alias", "yours")
            try eventually("both are reported") { try daemon.drift(of: "web0") == ["link.mtu", "link.alias"] }
            try daemon.waitForReason("DriftReported", of: "web0")
            #expect(try daemon.condition("Drifted", of: "web0")?.holds == true)
            #expect(try daemon.condition("Conflict", of: "web0")?.holds == false)
            #expect(try daemon.phase("web0") == "Degraded")
            try eventually("both are in the history") {
                let found = try daemon.events(of: "web0").filter { $0.reason == "DriftFound" }
                return found.contains { $0.field == "link.mtu" && $0.wanted == "1500" && $0.observed == "1400" }
                    && found.contains { $0.field == "link.alias" && $0.observed == #""yours""# }
            }
            // Neither a restart nor other notifications cause a repair.
            daemon.kill()
            try daemon.start()
            #expect(try daemon.drift(of: "web0") == ["link.mtu", "link.alias"])
            try run("ip", "link", "set", "web0", "txqueuelen", "7")
            try eventually("the queue length is reported too") { try daemon.drift(of: "web0").count == 3 }
            let drifted = try #require(try Interface("web0"))
            #expect(drifted.mtu == 1_400)
            #expect(drifted.alias == "yours")
            #expect(drifted.transmitQueueLength == 7)
            // The external change is undone.
            try run("ip", "link", "set", "web0", "alias", "mine")
            try eventually("the alias is no longer drift") { try daemon.drift(of: "web0").count == 2 }

            #expect(try daemon.patch("web0", spec: #"{"driftPolicy": "repair"}"#).status == 200)
            let after = try #require(try Interface("web0"))
            #expect(after.index == before.index)
            #expect(after.mtu == 1_500)
            #expect(after.transmitQueueLength == 1_000)
            #expect(try daemon.condition("Drifted", of: "web0")?.holds == false)
        }
    }

    @Test func aMissingDeviceIsReportedToo() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"driftPolicy": "report"}"#)
            try run("ip", "link", "del", "web0")
            try daemon.waitForReason("DriftReported", of: "web0")
            #expect(try daemon.drift(of: "web0") == ["device"])
            #expect(try Interface("web0") == nil)
            #expect(try daemon.patch("web0", spec: #"{"driftPolicy": "repair"}"#).status == 200)
            #expect(try Interface("web0")?.isUp == true)
        }
    }

    /// A new spec is not drift and is applied.
    @Test func reportingDriftStillAppliesNewSpecs() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"driftPolicy": "report", "access": "open", "multiQueue": true}"#)
            #expect(try daemon.patch("web0", spec: #"{"link": {"mtu": 9000}}"#).status == 200)
            #expect(try Interface("web0")?.mtu == 9_000)
            // The carrier, which follows the consumers, is not drift either.
            let consumer = try Consumer("web0")
            try eventually("the carrier is on") { try Interface("web0")?.hasCarrier == true }
            consumer.leave()
            try eventually("the carrier is off") { try Interface("web0")?.hasCarrier == false }
            try daemon.waitUntilReady("web0")
        }
    }

    @Test func aContestedFieldIsLeftAlone() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0")
            _ = try daemon.create("web1")
            try eventually("the field is contested") {
                try run("ip", "link", "set", "web0", "mtu", "1400")
                guard let conflict = try daemon.condition("Conflict", of: "web0"), conflict.holds else { return false }
                return conflict.reason == "Contested" && conflict.message.contains("link.mtu")
            }
            // No notification causes a repair of the field; other fields and other devices are repaired.
            for round in 1...30 {
                try run("ip", "link", "set", "web0", "mtu", "\(1_400 - round)")
                usleep(20_000)
            }
            try run("ip", "link", "set", "web0", "txqueuelen", "7")
            try run("ip", "link", "set", "web1", "mtu", "1400")
            try eventually("the others are repaired") {
                try Interface("web0")?.transmitQueueLength == 1_000 && Interface("web1")?.mtu == 1_500
            }
            // Five at once, and one after each of 2, 4, 8, 16 s.
            let repairs = try daemon.events(of: "web0").filter {
                $0.reason == "DriftRepaired" && $0.field == "link.mtu"
            }
            #expect((5..<10).contains(repairs.count))
            // A new spec is applied at once.
            #expect(try daemon.patch("web0", spec: #"{"link": {"mtu": 9000}}"#).status == 200)
            #expect(try Interface("web0")?.mtu == 9_000)
            #expect(try daemon.condition("Conflict", of: "web0")?.holds == false)
        }
    }

    /// Tapster and another program set the same field, each as fast as it can, until the other one stops.
    @Test func aFightEnds() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            _ = try daemon.create("web0", spec: #"{"link": {"controller": "br0"}}"#)
            try eventually("the other program wins") {
                if try Interface("web0")?.controller == "br0" { try run("ip", "link", "set", "web0", "nomaster") }
                return try daemon.condition("Ready", of: "web0")?.reason == "Contested"
            }
            try eventually("the device belongs to the bridge again") {
                try Interface("web0")?.controller == "br0" && daemon.phase("web0") == "Ready"
            }
            #expect(try daemon.condition("Conflict", of: "web0")?.holds == false)
        }
    }
}
