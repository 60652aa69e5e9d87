import Foundation
import TestSupport
import Testing

/// External changes are repaired and reported, with the desired and the observed value.
@Suite(.privileged) struct FieldDriftTests {
    /// An external change of `web0`, and how it is reported.
    private struct Drift {
        let command: [String]
        let field: String
        let wanted: String
        let observed: String

        init(_ command: String, _ field: String, _ wanted: String, _ observed: String) {
            self.command = command.split(separator: " ").map(String.init)
            self.field = field
            self.wanted = wanted
            self.observed = observed
        }
    }

    private static let spec = #"""
        {"link": {"controller": "br0", "alias": "mine", "altNames": ["front", "second"], "txQueueLength": 500,
                  "gsoMaxBytes": 50000, "macAddress": "02:00:00:00:00:17", "carrier": "on",
                  "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}}
        """#

    private static let drifts = [
        Drift("ip link set web0 mtu 1400", "link.mtu", "1500", "1400"),
        Drift(
            "ip link set web0 address 02:00:00:00:00:99", "link.macAddress", #""02:00:00:00:00:17""#,
            #""02:00:00:00:00:99""#),
        Drift("ip link set web0 txqueuelen 3", "link.txQueueLength", "500", "3"),
        Drift("tc qdisc replace dev web0 root pfifo", "link.queueDiscipline", #""noqueue""#, #""pfifo""#),
        Drift("tc qdisc del dev web0 root", "link.queueDiscipline", #""noqueue""#, #""mq""#),
        Drift("ip link set web0 alias yours", "link.alias", #""mine""#, #""yours""#),
        Drift(
            "ip link property add dev web0 altname third", "link.altNames", #"["front","second"]"#,
            #"["front","second","third"]"#),
        Drift(
            "ip link property del dev web0 altname front", "link.altNames", #"["front","second"]"#, #"["second"]"#),
        Drift("ip link set web0 nomaster", "link.controller", #""br0""#, "null"),
        Drift("ip link set web0 master br1", "link.controller", #""br0""#, #""br1""#),
        Drift(
            "ip address del 192.0.2.1/24 dev web0", "link.addresses", #"["192.0.2.1/24","2001:db8::1/64"]"#,
            #"["2001:db8::1/64"]"#),
        Drift(
            "ip address del 2001:db8::1/64 dev web0", "link.addresses", #"["192.0.2.1/24","2001:db8::1/64"]"#,
            #"["192.0.2.1/24"]"#),
        Drift("ip link set web0 carrier off", "link.carrier", "true", "false"),
        Drift("ip link set web0 down", "link.up", "true", "false"),
        Drift("ip link set web0 name stolen", "name", #""web0""#, #""stolen""#),
        Drift("ip link del web0", "device", #""present""#, "null"),
    ]

    private static func check(_ link: Interface, _ comment: Comment) {
        #expect(link.mtu == 1_500, comment)
        #expect(link.macAddress == "02:00:00:00:00:17", comment)
        #expect(link.transmitQueueLength == 500, comment)
        #expect(link.gsoMaxBytes == 50_000, comment)
        #expect(link.queueDiscipline == "noqueue", comment)
        #expect(link.alias == "mine", comment)
        #expect(link.altNames == ["front", "second"], comment)
        #expect(link.controller == "br0", comment)
        #expect(link.addresses == ["192.0.2.1/24", "2001:db8::1/64"], comment)
        #expect(link.hasCarrier, comment)
    }

    @Test func eachIsRepairedAndReported() async throws {
        try await withDaemon { (daemon) throws in
            for bridge in ["br0", "br1"] { try run("ip", "link", "add", bridge, "up", "type", "bridge") }
            #expect(try daemon.create("web0", spec: Self.spec).status == 201)
            var before = try #require(try Interface("web0"))
            Self.check(before, "at first")
            var repairs: [String: Int] = [:]
            for drift in Self.drifts {
                let comment = Comment(rawValue: drift.command.joined(separator: " "))
                if drift.field == "name" {
                    try daemon.renameInterface("web0", to: "stolen")
                } else {
                    try run(drift.command[0], Array(drift.command.dropFirst()))
                }
                repairs[drift.field, default: 0] += 1
                let metric = "tapster_drift_repairs_total{field=\"\(drift.field)\"}"
                do {
                    try eventually("\(comment) is repaired") {
                        guard let count = try daemon.metric(metric).flatMap({ Int($0) }) else { return false }
                        return try count >= repairs[drift.field, default: 0] && daemon.phase("web0") == "Ready"
                    }
                } catch {
                    throw TestFailure("\(error): \(try daemon.send("GET", "/v1/devices/web0").text)")
                }
                let now = try #require(try Interface("web0"), comment)
                Self.check(now, comment)
                #expect((now.index == before.index) == (drift.field != "device"), comment)
                if !["link.carrier", "link.up", "name", "device"].contains(drift.field) {
                    #expect(now.carrierChanges == before.carrierChanges, comment)
                }
                before = now
            }
            try eventually("all are in the history") {
                let events = try daemon.events(of: "web0").filter { $0.reason == "DriftRepaired" }
                return Self.drifts.allSatisfy { drift in
                    events.contains {
                        $0.field == drift.field && $0.wanted == drift.wanted && $0.observed == drift.observed
                    }
                }
            }
        }
    }

    /// The kernel does not notify of these (`do_setlink()` only sets `DO_SETLINK_MODIFIED`), so a pass finds them.
    @Test func aGSOSizeIsRepairedAtTheNextPass() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"link": {"gsoMaxBytes": 50000}}"#)
            #expect(try Interface("web0")?.gsoMaxBytes == 50_000)
            try run("ip", "link", "set", "web0", "gso_max_size", "40000")
            #expect(try daemon.send("POST", "/v1/reconcile?device=web0&wait=5s").status == 200)
            #expect(try Interface("web0")?.gsoMaxBytes == 50_000)
            #expect(try daemon.metric("tapster_drift_repairs_total{field=\"link.gsoMaxBytes\"}") == "1")
            try eventually("it is in the history") {
                try daemon.events(of: "web0").contains {
                    $0.reason == "DriftRepaired" && $0.field == "link.gsoMaxBytes" && $0.wanted == "50000"
                        && $0.observed == "40000"
                }
            }
        }
    }

    @Test func externalAdditionsStay() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create(
                "web0", spec: #"{"link": {"ipv6": "kernelDefault", "addresses": ["192.0.2.1/24"]}}"#)
            let consumer = try Consumer("web0")
            try eventually("a link-local address is there") {
                try Interface("web0")?.linkLocalAddresses.count == 1
            }
            for address in ["203.0.113.9/24", "192.0.2.9/25", "2001:db8:9::9/64"] {
                try run("ip", "address", "add", address, "dev", "web0")
            }
            // A repair, a patch and a restart must not remove them.
            try run("ip", "address", "del", "192.0.2.1/24", "dev", "web0")
            let all = ["192.0.2.1/24", "192.0.2.9/25", "2001:db8:9::9/64", "203.0.113.9/24"]
            try eventually("ours is back") { try Interface("web0")?.addresses == all }
            _ = try daemon.patch("web0", spec: #"{"link": {"addresses": ["192.0.2.1/24", "192.0.2.2/24"]}}"#)
            daemon.kill()
            try daemon.start()
            _ = try daemon.patch("web0", spec: #"{"link": {"addresses": []}}"#)
            let now = try #require(try Interface("web0"))
            #expect(now.addresses == ["192.0.2.9/25", "2001:db8:9::9/64", "203.0.113.9/24"])
            #expect(now.linkLocalAddresses.count == 1)
            _ = consumer
        }
    }

    /// Below 1,280 bytes the kernel removes IPv6 from the interface, with its addresses.
    @Test func addressesLostWithASmallMTUComeBack() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"link": {"addresses": ["192.0.2.1/24", "2001:db8::1/64"]}}"#)
            try run("ip", "link", "set", "web0", "mtu", "1000")
            try eventually("both are back") {
                let link = try Interface("web0")
                return link?.mtu == 1_500 && link?.addresses == ["192.0.2.1/24", "2001:db8::1/64"]
            }
            try daemon.waitUntilReady("web0")
        }
    }

    @Test func anAddressThatTheKernelRefusesIsRetried() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"link": {"ipv6": "kernelDefault"}}"#)
            let knob = "/proc/sys/net/ipv6/conf/web0/disable_ipv6"
            try run("sh", "-c", "echo 1 > \(knob)")
            let patch = #"{"link": {"addresses": ["192.0.2.1/24", "2001:db8::1/64"]}}"#
            #expect(try daemon.patch("web0", spec: patch, wait: "1ms").status == 202)
            try daemon.waitForReason("StepFailed", of: "web0")
            let message = try #require(try daemon.condition("Ready", of: "web0")?.message)
            #expect(message.contains("add_address") && message.contains("disabled"), "\(message)")
            #expect(try Interface("web0")?.addresses == ["192.0.2.1/24"])
            try run("sh", "-c", "echo 0 > \(knob)")
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.addresses == ["192.0.2.1/24", "2001:db8::1/64"])
        }
    }

    /// Another interface has the alternative name.
    @Test func aNameInUseIsReportedAndRetried() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "other", "type", "bridge")
            try run("ip", "link", "property", "add", "dev", "other", "altname", "front")
            #expect(try daemon.create("web0", spec: #"{"link": {"altNames": ["front"]}}"#, wait: "1ms").status == 202)
            try daemon.waitForReason("StepFailed", of: "web0")
            #expect(try daemon.condition("Ready", of: "web0")?.message.contains("another interface has one") == true)
            try run("ip", "link", "del", "other")
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.altNames == ["front"])
        }
    }
}
