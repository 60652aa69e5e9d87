import Foundation
import TestSupport
import Testing

/// A dry run is refused when the request itself would be, with the same problem.
@Suite(.privileged) struct DryRunTests {
    private static let keep = #"{"metadata": {"name": "keep0"}}"#

    /// Applies, and the rollback, that would end the lease of queues 2 and 3 of `web0`.
    private static let applies: [(name: String, target: String, devices: String)] = [
        ("prune", "/v1/apply?prune=true", keep),
        ("prune by label", "/v1/apply?prune=true&labelSelector=vm%3Dweb", keep),
        ("shrink", "/v1/apply?", #"{"metadata": {"name": "web0"}, "spec": {"queues": 3}}"#),
        ("recreate", "/v1/apply?recreate=true", #"{"metadata": {"name": "web0"}, "spec": {"kind": "tun"}}"#),
        ("open", "/v1/apply?", #"{"metadata": {"name": "web0"}, "spec": {"queues": 4, "access": "open", "owner": 7}}"#),
        ("rollback", "/v1/revisions/1/rollback?", ""),
    ]

    /// Status, code and the mistakes' pointers; the detail too, but not what differs from request to request.
    private static func problem(_ answer: Answer) -> [String] {
        let pointers = (answer["errors"] as? [[String: Any]] ?? []).map { "\($0["pointer"] ?? "")" }
        return ["\(answer.status)", "\(answer["code"] ?? "")", "\(answer["detail"] ?? "")"] + pointers
    }

    @Test func aLeaseRefusesADryRunToo() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("keep0")
            _ = try daemon.send(
                "PUT", "/v1/devices/web0?wait=10s",
                json: #"{"metadata": {"labels": {"vm": "web"}}, "spec": {"queues": 4}}"#)
            let holder = try LeaseHolder(daemon, "web0", "queues=2,3")
            for (name, target, devices) in Self.applies {
                let body = name == "rollback" ? nil : #"{"devices": [\#(devices)]}"#
                let real = try daemon.send("POST", target, json: body)
                #expect(real.status == 409 && real["code"] as? String == "DEVICE_LEASED", "\(name): \(real.text)")
                let dry = try daemon.send("POST", target + "&dryRun=true", json: body)
                #expect(Self.problem(dry) == Self.problem(real), "\(name)")
                let forced = try daemon.send("POST", target + "&dryRun=true&force=true", json: body)
                #expect(forced.status == 200, "\(name): \(forced.text)")
            }
            #expect(try daemon.leases() == [holder.id])
            // A refused or forced dry run does not close the device to new leases.
            _ = try LeaseHolder(daemon, "web0", "queues=0")
            // What is compatible with the lease is planned.
            let more = #"{"devices": [{"metadata": {"name": "web0"}, "spec": {"queues": 8}}]}"#
            #expect(try daemon.send("POST", "/v1/apply?dryRun=true", json: more).status == 200)
        }
    }

    @Test func aPendingChangeRefusesADryRunToo() async throws {
        try await withDaemon { (daemon) throws in
            let trial = try daemon.send(
                "POST", "/v1/apply?confirmWithin=1h&wait=10s", json: #"{"devices": [\#(Self.keep)]}"#)
            #expect(trial.status == 200)
            let other = #"{"devices": [{"metadata": {"name": "web0"}}]}"#
            let real = try daemon.send("POST", "/v1/apply", json: other)
            #expect(real["code"] as? String == "APPLY_PENDING")
            #expect(
                Self.problem(try daemon.send("POST", "/v1/apply?dryRun=true", json: other)) == Self.problem(real))
            // The request would change nothing, and is not refused.
            let same = #"{"devices": [\#(Self.keep)]}"#
            #expect(try daemon.send("POST", "/v1/apply?dryRun=true", json: same).status == 200)
        }
    }
}
