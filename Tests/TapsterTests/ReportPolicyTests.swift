import Foundation
import TestSupport
import Testing

/// `driftPolicy: report`: a change of the spec sets what it changes, and nothing else.
@Suite(.privileged) struct ReportPolicyTests {
    /// How another program changes a field, and how it can be seen.
    private static let drifts: [(field: String, words: String, isDrifted: @Sendable (Interface) -> Bool)] = [
        ("link.mtu", "ip link set web0 mtu 1400", { $0.mtu == 1_400 }),
        ("link.controller", "ip link set web0 master br0", { $0.controller == "br0" }),
        ("link.up", "ip link set web0 down", { !$0.isUp }),
        ("link.txQueueLength", "ip link set web0 txqueuelen 7", { $0.transmitQueueLength == 7 }),
        ("link.macAddress", "ip link set web0 address 02:00:00:00:00:99", { $0.macAddress == "02:00:00:00:00:99" }),
        ("link.altNames", "ip link property add dev web0 altname other", { $0.altNames == ["other"] }),
        ("link.addresses", "ip address del 192.0.2.1/24 dev web0", { $0.addresses == [] }),
        ("link.queueDiscipline", "tc qdisc replace dev web0 root pfifo", { $0.queueDiscipline == "pfifo" }),
    ]

    private static let spec = #"{"driftPolicy": "report", "link": {"addresses": ["192.0.2.1/24"]}}"#

    @Test(arguments: drifts.indices) func anUnrelatedChangeRepairsNothing(place: Int) async throws {
        let (field, words, isDrifted) = Self.drifts[place]
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "type", "bridge")
            try daemon.create("web0", spec: Self.spec)
            try run(in: nil, words.split(separator: " ").map(String.init))
            _ = try daemon.send("POST", "/v1/reconcile?wait=10s")
            try daemon.waitForReason("DriftReported", of: "web0")
            #expect(try daemon.drift(of: "web0") == [field])
            // The answer comes when the change is made, although the drift is left.
            for alias in ["one", "two"] {
                let patched = try daemon.patch("web0", spec: #"{"link": {"alias": "\#(alias)"}}"#)
                #expect(patched.status == 200)
                #expect(try Interface("web0")?.alias == alias)
                #expect(try isDrifted(#require(try Interface("web0"))))
                #expect(try daemon.drift(of: "web0") == [field])
                #expect(try daemon.condition("Ready", of: "web0")?.reason == "DriftReported")
            }
            // What the spec has changed is drift from then on.
            try run("ip", "link", "set", "web0", "alias", "theirs")
            _ = try daemon.send("POST", "/v1/reconcile?wait=10s")
            try eventually("both are reported") {
                try Set(daemon.drift(of: "web0")) == [field, "link.alias"]
            }
            daemon.kill()
            try daemon.start()
            try daemon.waitForReason("DriftReported", of: "web0")
            #expect(try daemon.patch("web0", spec: #"{"link": {"gsoMaxBytes": 30000}}"#).status == 200)
            #expect(try isDrifted(#require(try Interface("web0"))))
            #expect(try Interface("web0")?.alias == "theirs")
            // The policy repairs all.
            #expect(try daemon.patch("web0", spec: #"{"driftPolicy": "repair"}"#).status == 200)
            #expect(try !isDrifted(#require(try Interface("web0"))))
            #expect(try Interface("web0")?.alias == "two")
        }
    }

    /// A crash between a change and its execution loses nothing of what is known about drift.
    @Test func driftIsKnownAfterACrash() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: Self.spec)
            try run("ip", "link", "set", "web0", "mtu", "1400")
            try daemon.waitForReason("DriftReported", of: "web0")
            // The bridge is missing, so the change is not in the kernel when the daemon ends.
            _ = try daemon.patch("web0", spec: #"{"link": {"controller": "br0", "alias": "x"}}"#, wait: "1ms")
            try eventually("the alias is set") { try Interface("web0")?.alias == "x" }
            daemon.kill()
            try daemon.start()
            try run("ip", "link", "add", "br0", "type", "bridge")
            try eventually("it has joined") { try Interface("web0")?.controller == "br0" }
            try daemon.waitForReason("DriftReported", of: "web0")
            #expect(try Interface("web0")?.mtu == 1_400)
            #expect(try daemon.drift(of: "web0") == ["link.mtu"])
            // A changed field is set, although it had drifted.
            #expect(try daemon.patch("web0", spec: #"{"link": {"mtu": 9000}}"#).status == 200)
            #expect(try Interface("web0")?.mtu == 9_000)
            try daemon.waitUntilReady("web0")
        }
    }

    /// A device that another program has removed is not made by a change of another field.
    @Test func aRemovedDeviceStaysAway() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: Self.spec)
            try run("ip", "link", "del", "web0")
            try daemon.waitForReason("DriftReported", of: "web0")
            #expect(try daemon.patch("web0", spec: #"{"link": {"mtu": 9000}}"#, wait: "300ms").status == 202)
            _ = try daemon.send("POST", "/v1/reconcile?wait=10s")
            #expect(try Interface("web0") == nil)
            #expect(try daemon.drift(of: "web0") == ["device"])
            #expect(try daemon.patch("web0", spec: #"{"driftPolicy": "repair"}"#).status == 200)
            #expect(try Interface("web0")?.mtu == 9_000)
        }
    }

    /// A bridge refuses an interface that a macvlan has taken.
    @Test func anInterfaceBelowAMacvlanIsReported() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "type", "bridge")
            try daemon.create("web0")
            try run("ip", "link", "add", "mv0", "link", "web0", "type", "macvlan")
            _ = try daemon.patch("web0", spec: #"{"link": {"controller": "br0"}}"#, wait: "1ms")
            try eventually("the reason is told") {
                let error = try daemon.send("GET", "/v1/devices/web0")["status", "lastError"] as? String ?? ""
                return error.contains("EBUSY") && error.contains("macvlan")
            }
            try run("ip", "link", "del", "mv0")
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.controller == "br0")
        }
    }
}
