import Foundation
import TapCore
import TapStore
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// Changes of many devices, with and without confirmation.
@Suite struct ApplyTests {
    private static func document(_ names: [String], _ spec: String = #"{"queues": 4}"#, labels: String = "{}") -> String
    {
        let devices = names.map { #"{"metadata": {"name": "\#($0)", "labels": \#(labels)}, "spec": \#(spec)}"# }
        return #"{"devices": [\#(devices.joined(separator: ","))]}"#
    }

    private static func names(_ world: World) throws -> [String] {
        let items = try world.send("GET", "/v1/devices")["items"] as? [[String: Any]] ?? []
        return items.compactMap { ($0["metadata"] as? [String: Any])?["name"] as? String }
    }

    private static func changes(_ answer: Answer) -> [String: String] {
        let changes = answer["changes"] as? [[String: Any]] ?? []
        return changes.reduce(into: [:]) { $0[$1["name"] as? String ?? ""] = $1["change"] as? String }
    }

    @Test func unreachedDevicesAreNamed() async throws {
        try await withWorld { (world) throws in
            let unplaced = #"{"metadata": {"name": "web1"}, "spec": {"networkNamespace": "nowhere"}}"#
            let document = #"{"devices": [{"metadata": {"name": "web0"}}, \#(unplaced)]}"#
            let late = try world.send("POST", "/v1/apply?wait=300ms", document)
            #expect(late.status == 202)
            #expect(late["unreached"] as? [String] == ["web1"])
            let inTime = try world.send("POST", "/v1/apply?wait=5s", #"{"devices": [{"metadata": {"name": "web0"}}]}"#)
            #expect(inTime.status == 200)
            #expect(inTime["unreached"] == nil)
        }
    }

    /// The document promises a link step at least one argument.
    @Test func theStepBeforeAnAddressIsRemovedHasArguments() async throws {
        try await withWorld { (world) throws in
            let both = #"{"link": {"addresses": ["192.0.2.1/24", "192.0.2.2/24"]}}"#
            let one = #"{"link": {"addresses": ["192.0.2.2/24"]}}"#
            #expect(try world.send("POST", "/v1/apply?wait=5s", Self.document(["web0"], both)).status == 200)
            let answer = try world.send("POST", "/v1/apply?dryRun=true", Self.document(["web0"], one))
            let plan = try #require((answer["plan"] as? [[String: Any]])?.first)
            let steps = try #require(plan["steps"] as? [[String: Any]])
            #expect(steps.map { $0["step"] as? String } == ["set_link", "remove_address"])
            #expect(steps.first?["arguments"] as? [String: Bool] == ["promoteSecondaries": true])
        }
    }

    @Test func oneTransactionOneRevision() async throws {
        try await withWorld { (world) throws in
            let first = try world.send("POST", "/v1/apply?wait=5s", Self.document(["a", "b", "c"]))
            #expect(first.status == 200)
            #expect(first["revision"] as? String == "1")
            #expect(Self.changes(first) == ["a": "created", "b": "created", "c": "created"])
            #expect(Set(world.kernel.own.table.map(\.name)) == ["a", "b", "c"])
            for name in ["a", "b", "c"] {
                #expect(try world.send("GET", "/v1/devices/\(name)")["metadata", "resourceVersion"] as? String == "1")
            }
            // An equal document changes nothing, not even the revision.
            let second = try world.send("POST", "/v1/apply?wait=5s", Self.document(["a", "b", "c"]))
            #expect(second["revision"] as? String == "1")
            #expect(Self.changes(second) == ["a": "unchanged", "b": "unchanged", "c": "unchanged"])
        }
    }

    @Test func aDuplicateNameIsReportedWithOtherMistakes() async throws {
        try await withWorld { (world) throws in
            let answer = try world.send(
                "POST", "/v1/apply",
                #"{"devices": [{"metadata": {"name": "a"}}, {"metadata": {"name": "a"}, "spec": {"foo": 1}}]}"#)
            #expect(answer.status == 422)
            #expect(answer.pointers == ["/devices/1/metadata/name", "/devices/1/spec/foo"])
        }
    }

    @Test func allMistakesAreReportedAndNothingIsChanged() async throws {
        try await withWorld { (world) throws in
            let answer = try world.send(
                "POST", "/v1/apply",
                #"""
                {"devices": [{"metadata": {"name": "a"}, "spec": {"link": {"mtu": 1}}}, {"metadata": {"name": "b"}},
                             {"metadata": {"name": "b"}}, {"spec": {}}], "extra": 1}
                """#)
            #expect(answer.status == 422)
            let pointers = (answer["errors"] as? [[String: Any]] ?? []).compactMap { $0["pointer"] as? String }
            #expect(
                Set(pointers) == [
                    "/extra", "/devices/0/spec/link/mtu", "/devices/2/metadata/name", "/devices/3/metadata/name",
                ])
            #expect(try Self.names(world) == [])
        }
    }

    /// A query parameter in the body is an error that names the right place.
    @Test func aQueryParameterInTheBodyIsReported() async throws {
        try await withWorld { (world) throws in
            let answer = try world.send("POST", "/v1/apply", #"{"devices": [], "prune": true, "color": 1}"#)
            #expect(answer.status == 422)
            let errors = (answer["errors"] as? [[String: String]] ?? []).map {
                "\($0["pointer"] ?? "") \($0["detail"] ?? "")"
            }
            #expect(
                errors == [
                    "/color is not a field of this object; known is devices",
                    "/prune is a query parameter: POST /v1/apply?prune=…",
                ])
        }
    }

    @Test func allRefusalsAreReportedAndNothingIsChanged() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("POST", "/v1/apply?wait=5s", Self.document(["a", "b"]))
            let answer = try world.send("POST", "/v1/apply", Self.document(["a", "b", "c"], #"{"kind": "tun"}"#))
            #expect(answer.status == 409)
            #expect(answer["code"] as? String == "IMMUTABLE_FIELD")
            #expect((answer["errors"] as? [Any])?.count == 2)
            #expect(try Self.names(world) == ["a", "b"])
            let recreated = try world.send(
                "POST", "/v1/apply?recreate=true&wait=5s", Self.document(["a", "b", "c"], #"{"kind": "tun"}"#))
            #expect(recreated.status == 200)
            #expect(world.kernel.own.table.allSatisfy { $0.tun?.kind == .tun })
        }
    }

    @Test func pruneDeletesUnnamedDevices() async throws {
        try await withWorld { (world) throws in
            _ = try world.send(
                "POST", "/v1/apply?wait=5s", Self.document(["a", "b"], labels: #"{"set": "one"}"#))
            _ = try world.send("POST", "/v1/apply?wait=5s", Self.document(["c"], labels: #"{"set": "two"}"#))
            #expect(try world.send("POST", "/v1/apply?labelSelector=set%3Done", Self.document([])).status == 400)
            let some = try world.send(
                "POST", "/v1/apply?prune=true&labelSelector=set%3Done&wait=5s",
                Self.document(["b"], labels: #"{"set": "one"}"#))
            #expect(some.status == 200)
            #expect(Self.changes(some) == ["a": "deleted", "b": "unchanged"])
            #expect(try Self.names(world) == ["b", "c"])
            #expect(try world.send("POST", "/v1/apply?prune=true&wait=5s", Self.document([])).status == 200)
            #expect(try Self.names(world) == [])
            #expect(world.kernel.own.table.isEmpty)
        }
    }

    /// The plan is computed as by the worker: the steps that it lists are those that the kernel then counts.
    @Test func aDryRunShowsThePlanAndDoesNothing() async throws {
        try await withWorld { (world) throws in
            let dry = try world.send("POST", "/v1/apply?dryRun=true", Self.document(["a"]))
            #expect(dry.status == 200)
            #expect(dry["revision"] is NSNull)
            #expect(try Self.names(world) == [])
            #expect(world.kernel.own.table.isEmpty)
            let plan = try #require((dry["plan"] as? [[String: Any]])?.first)
            let steps = (plan["steps"] as? [[String: Any]] ?? []).compactMap { $0["step"] as? String }
            #expect(steps.first == "create")
            _ = try world.send("POST", "/v1/apply?wait=5s", Self.document(["a"]))
            for (step, count) in Dictionary(steps.map { ($0, 1.0) }, uniquingKeysWith: +) where step != "claim" {
                let operation = "operation=\"\(step)\""
                #expect(try world.metric("tapster_kernel_operations_total", operation) == count, "\(step)")
            }
            let change = try world.send(
                "POST", "/v1/apply?dryRun=true&prune=true", Self.document(["b"], #"{"link": {"controller": "br0"}}"#))
            let plans = change["plan"] as? [[String: Any]] ?? []
            let deletion = try #require(plans.first { $0["device"] as? String == "a" })
            #expect(
                (deletion["steps"] as? [[String: Any]])?.compactMap { $0["step"] as? String } == ["delete", "forget"])
            let creation = try #require(plans.first { $0["device"] as? String == "b" })
            #expect((creation["obstacle"] as? String)?.contains("no interface has that name") == true)
        }
    }

    // MARK: Trials

    private static func begin(_ world: World, within time: String = "1h") throws -> String {
        _ = try world.send("PUT", "/v1/devices/old?wait=5s", #"{"spec": {"queues": 4}}"#)
        _ = try world.send("PUT", "/v1/devices/pruned?wait=5s", #"{"metadata": {"labels": {"a": "b"}}}"#)
        let answer = try world.send(
            "POST", "/v1/apply?prune=true&confirmWithin=\(time)&wait=5s",
            Self.document(["old", "new"], #"{"link": {"mtu": 9000}}"#))
        #expect(answer.status == 200)
        #expect(answer["confirmBy"] is String)
        return try #require(answer["revision"] as? String)
    }

    private static func expectBefore(_ world: World) throws {
        try eventually("all is as it was before") {
            let table = world.kernel.own.table
            return Set(table.map(\.name)) == ["old", "pruned"] && table.allSatisfy { $0.mtu == 1_500 }
        }
        try eventually("and so are the specs") { try Self.names(world) == ["old", "pruned"] }
        let pruned = try world.send("GET", "/v1/devices/pruned")
        #expect(pruned["metadata", "labels"] as? [String: String] == ["a": "b"])
        #expect(try world.send("GET", "/v1/devices/old")["spec", "queues"] as? Int == 4)
    }

    @Test func anUnconfirmedChangeIsRolledBack() async throws {
        try await withWorld { (world) throws in
            let uid = try world.send("PUT", "/v1/devices/pruned?wait=5s", "{}")["metadata", "uid"] as? String
            let revision = try Self.begin(world, within: "1s")
            try Self.expectBefore(world)
            // The same device, not a new one with the same spec.
            #expect(uid != nil)
            #expect(try world.send("GET", "/v1/devices/pruned")["metadata", "uid"] as? String == uid)
            #expect(try world.send("POST", "/v1/apply/\(revision)/confirm").status == 409)
            #expect(try world.send("DELETE", "/v1/apply/\(revision)").status == 204)
        }
    }

    @Test func aConfirmedChangeStays() async throws {
        try await withWorld { (world) throws in
            let revision = try Self.begin(world)
            // Only one change may await confirmation, but single devices may be changed.
            #expect(try world.send("POST", "/v1/apply", Self.document(["x"]))["code"] as? String == "APPLY_PENDING")
            #expect(try world.send("PUT", "/v1/devices/other?wait=5s", "{}").status == 201)
            #expect(try world.send("POST", "/v1/apply/\(revision)/confirm").status == 204)
            #expect(try world.send("POST", "/v1/apply/\(revision)/confirm").status == 204)
            #expect(try world.send("DELETE", "/v1/apply/\(revision)")["code"] as? String == "APPLY_ENDED")
            #expect(try Self.names(world) == ["new", "old", "other"])
            #expect(try world.send("POST", "/v1/apply/4711/confirm").status == 404)
        }
    }

    @Test func aLaterChangeSurvivesTheRollback() async throws {
        try await withWorld { (world) throws in
            let revision = try Self.begin(world)
            _ = try world.send("PATCH", "/v1/devices/old?wait=5s", #"{"spec": {"link": {"mtu": 1400}}}"#)
            #expect(try world.send("DELETE", "/v1/apply/\(revision)").status == 204)
            try eventually("the others are as before") { try Self.names(world) == ["old", "pruned"] }
            #expect(try world.send("GET", "/v1/devices/old")["spec", "link", "mtu"] as? Int == 1_400)
            try eventually("the event is recorded") {
                let events = try world.send("GET", "/v1/events?device=old&limit=1000")["items"] as? [[String: Any]]
                return events?.contains { $0["reason"] as? String == "RollbackSkipped" } == true
            }
        }
    }

    @Test func aRestartKeepsTheTrial() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let kernel = ModelKernel()
                do {
                    let world = try World(directory, kernel: kernel)
                    defer { world.stop() }
                    _ = try Self.begin(world, within: "1s")
                }
                var restarted: World?
                // The ending thread closes the database a moment later.
                try eventually("the database is free") {
                    restarted = try? World(directory, kernel: kernel)
                    return restarted != nil
                }
                let world = try #require(restarted)
                defer { world.stop() }
                try Self.expectBefore(world)
            }
        }
    }
}
