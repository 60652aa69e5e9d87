import Foundation
import TestSupport
import Testing

/// `link.ipv6`: what a guest's packets configure on the host. Each test has a device with `kernelDefault` beside it, on
/// which the same packets have their effect.
@Suite(.privileged) struct IPv6Tests {
    private static let closed = ["addr_gen_mode": "1", "accept_ra": "0", "autoconf": "0", "accept_redirects": "0"]

    private static func setting(_ name: String, of interface: String, in namespace: String? = nil) throws -> String {
        try run(in: namespace, ["cat", "/proc/sys/net/ipv6/conf/\(interface)/\(name)"])
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func expectClosed(
        _ interface: String, isDisabled: Bool, in namespace: String? = nil, _ comment: Comment? = nil
    ) throws {
        for (name, value) in closed { #expect(try setting(name, of: interface, in: namespace) == value, comment) }
        #expect(try setting("disable_ipv6", of: interface, in: namespace) == (isDisabled ? "1" : "0"), comment)
    }

    private static func consumers(_ names: [String]) throws -> [String: Consumer] {
        var consumers: [String: Consumer] = [:]
        for name in names { consumers[name] = try Consumer(name) }
        try eventually("they have a carrier") { try names.allSatisfy { try Interface($0)?.hasCarrier == true } }
        return consumers
    }

    private static func mac(_ name: String) throws -> [UInt8] {
        try #require(try Interface(name)?.macAddress).split(separator: ":").compactMap { UInt8($0, radix: 16) }
    }

    @Test func aRouterAdvertisementConfiguresNothing() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0")
            _ = try daemon.create("net0", spec: #"{"link": {"addresses": ["2001:db8::1/64"]}}"#)
            _ = try daemon.create("off0", spec: #"{"link": {"ipv6": "off"}}"#)
            _ = try daemon.create("open0", spec: #"{"link": {"ipv6": "kernelDefault"}}"#)
            let consumers = try Self.consumers(["web0", "net0", "off0", "open0"])
            for name in ["web0", "net0", "off0", "open0"] {
                try consumers[name]?.send(GuestFrames.routerAdvertisement())
            }
            try eventually("it has its effect where the kernel's default is kept") {
                try run("ip", "-6", "route").contains("default via fe80::bad dev open0")
            }
            let routes = try run("ip", "-6", "route").split(separator: "\n").filter { !$0.contains("open0") }
            #expect(
                !routes.contains { $0.contains("proto ra") || $0.contains("bad") || $0.contains("beef") }, "\(routes)")
            #expect(try Interface("web0")?.addresses == [])
            #expect(try Interface("net0")?.addresses == ["2001:db8::1/64"])
            for name in ["web0", "net0", "off0"] {
                #expect(try Interface(name)?.linkLocalAddresses == [])
                #expect(try Self.setting("mtu", of: name) == "1500")
                #expect(try Self.setting("hop_limit", of: name) == "64")
            }
            #expect(try Self.setting("hop_limit", of: "open0") == "7")
        }
    }

    @Test func noFrameIsSentUnasked() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0")
            _ = try daemon.create("open0", spec: #"{"link": {"ipv6": "kernelDefault"}}"#)
            func exchange() throws {
                let consumers = try Self.consumers(["web0", "open0"])
                try consumers["web0"]?.send(GuestFrames.multicastQuery())
                try consumers["web0"]?.send(GuestFrames.echoRequest())
                var frames: [[UInt8]] = []
                try eventually("the kernel sends on its own") {
                    frames += consumers["web0"]?.frames() ?? []
                    return consumers["open0"]?.frames().contains(where: GuestFrames.isIPv6) == true
                }
                frames += consumers["web0"]?.frames() ?? []
                #expect(!frames.contains(where: GuestFrames.isIPv6), "\(frames)")
                #expect(try Interface("web0")?.linkLocalAddresses == [])
            }
            try exchange()
            for name in ["web0", "open0"] { for state in ["down", "up"] { try run("ip", "link", "set", name, state) } }
            try exchange()
            try daemon.renameInterface("web0", to: "stolen")
            try eventually("the name is back") { try Interface("web0") != nil }
            try Self.expectClosed("web0", isDisabled: true, "renamed")
            for name in ["web0", "open0"] {
                let index = try Interface(name)?.index
                try run("ip", "link", "del", name)
                try eventually("it is made again") { try Interface(name).map { $0.index != index && $0.isUp } == true }
            }
            try exchange()
            try Self.expectClosed("web0", isDisabled: true, "recreated")
        }
    }

    /// Below an MTU of 1,280 the kernel drops IPv6 with its settings.
    @Test func aSmallMTUForgetsNothing() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"link": {"mtu": 1000}}"#)
            let consumers = try Self.consumers(["web0"])
            #expect(try daemon.patch("web0", spec: #"{"link": {"mtu": 1500}}"#).status == 200)
            try Self.expectClosed("web0", isDisabled: true, "larger")
            try run("ip", "link", "set", "web0", "mtu", "1000")
            try eventually("the MTU is back") { try Interface("web0")?.mtu == 1_500 }
            try daemon.waitUntilReady("web0")
            try Self.expectClosed("web0", isDisabled: true, "repaired")
            #expect(try Interface("web0")?.linkLocalAddresses == [])
            #expect(try daemon.metric("tapster_drift_repairs_total{field=\"link.ipv6\"}") ?? "0" == "0")
            _ = consumers
        }
    }

    @Test func redirectsChangeNoRoute() async throws {
        try await withDaemon { (daemon) throws in
            // As deploy/tapster-sysctl.conf has it; the default of new interfaces is the kernel's.
            try run(
                "sh", "-c", "cd /proc/sys/net/ipv4/conf; echo 0 >all/accept_redirects; echo 1 >default/accept_redirects"
            )
            let nets = [("net0", "0", "stated"), ("open0", "1", "kernelDefault")]
            for (name, number, policy) in nets {
                let addresses = #"["192.0.2.\#(number)1/28", "2001:db8:\#(number)::1/64"]"#
                    .replacingOccurrences(of: "192.0.2.01", with: "192.0.2.1")
                    .replacingOccurrences(of: "192.0.2.11", with: "192.0.2.17")
                let spec =
                    #"{"link": {"ipv6": "\#(policy)", "duplicateAddressDetection": false, "addresses": \#(addresses)}}"#
                #expect(try daemon.create(name, spec: spec).status == 201)
            }
            let consumers = try Self.consumers(nets.map(\.0))
            for (name, number, _) in nets {
                let base = number == "0" ? 0 : 16
                let (host, router, other) = ("192.0.2.\(base + 1)", "192.0.2.\(base + 2)", "192.0.2.\(base + 3)")
                let mac = try Self.mac(name)
                for neighbour in [router, other, "fe80::2", "fe80::3"] {
                    try run(
                        "ip", "neighbour", "replace", neighbour, "lladdr", "02:00:00:00:00:66", "dev", name, "nud",
                        "permanent")
                }
                try run("ip", "route", "add", "198.51.100.\(base)/28", "via", router, "dev", name)
                try run("ip", "-6", "route", "add", "2001:db8:10\(number)::/64", "via", "fe80::2", "dev", name)
                try consumers[name]?.send(
                    GuestFrames.ipv4Redirect("198.51.100.\(base + 9)", to: other, from: router, host: host, mac: mac))
                try consumers[name]?.send(
                    GuestFrames.redirect(
                        "2001:db8:10\(number)::9", to: "fe80::3", from: "fe80::2", host: "2001:db8:\(number)::1",
                        mac: mac))
            }
            try eventually("they have their effect where the kernel's default is kept") {
                try run("ip", "route", "get", "198.51.100.25").contains("via 192.0.2.19 ")
                    && run("ip", "-6", "route", "get", "2001:db8:101::9").contains("via fe80::3 ")
            }
            #expect(try run("ip", "route", "get", "198.51.100.9").contains("via 192.0.2.2 "))
            #expect(try run("ip", "-6", "route", "get", "2001:db8:100::9").contains("via fe80::2 "))
        }
    }

    /// The kernel does not notify of most of these, so a pass finds them.
    @Test func eachSettingIsRepairedAndReported() async throws {
        try await withDaemon { (daemon) throws in
            let drifts = [
                ("ipv6", "addr_gen_mode", "1", "0"), ("ipv6", "accept_ra", "0", "2"), ("ipv6", "autoconf", "0", "1"),
                ("ipv6", "accept_redirects", "0", "1"), ("ipv6", "disable_ipv6", "1", "0"),
                ("ipv4", "accept_redirects", "0", "1"),
            ]
            // A device for each, since a field is repaired five times a minute at most.
            for (place, drift) in drifts.enumerated() {
                let (family, name, wanted, observed) = drift
                let device = "web\(place)"
                // Where IPv6 is off, the mode has no effect, and is left alone.
                let usesIPv6 = name == "addr_gen_mode"
                _ = try daemon.create(
                    device,
                    spec: usesIPv6
                        ? #"{"link": {"addresses": ["2001:db8::1/64"], "duplicateAddressDetection": false}}"# : "{}")
                let file = "/proc/sys/net/\(family)/conf/\(device)/\(name)"
                #expect(try run("cat", file) == wanted + "\n", "\(drift)")
                try run("sh", "-c", "echo \(observed) >\(file)")
                #expect(try daemon.send("POST", "/v1/reconcile?device=\(device)&wait=5s").status == 200)
                try eventually("\(drift) is repaired") { try run("cat", file) == wanted + "\n" }
                try eventually("\(drift) is in the history") {
                    try daemon.events(of: device).contains {
                        $0.reason == "DriftRepaired" && $0.field == "link.ipv6"
                            && $0.wanted == #"["\#(family).\#(name)=\#(wanted)"]"#
                            && $0.observed.hasPrefix(#"["\#(family).\#(name)=\#(observed)""#)
                    }
                }
            }
        }
    }

    @Test func whatTheKernelAddedMeanwhileIsRemoved() async throws {
        try await withDaemon { (daemon) throws in
            let spec = #"{"link": {"addresses": ["2001:db8::1/64"], "duplicateAddressDetection": false}}"#
            _ = try daemon.create("web0", spec: spec)
            let consumers = try Self.consumers(["web0"])
            try run("sh", "-c", "cd /proc/sys/net/ipv6/conf/web0; echo 1 >autoconf; echo 2 >accept_ra")
            try consumers["web0"]?.send(GuestFrames.routerAdvertisement())
            try eventually("the kernel believes the guest") { try (Interface("web0")?.addresses.count ?? 0) > 1 }
            #expect(try daemon.send("POST", "/v1/reconcile?device=web0&wait=5s").status == 200)
            try eventually("what it learnt is gone") {
                try Interface("web0")?.addresses == ["2001:db8::1/64"]
                    && !run("ip", "-6", "route").contains("proto ra")
            }
            try Self.expectClosed("web0", isDisabled: false)
        }
    }

    @Test func aReportChangesNothingAndAPlanShowsIt() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"driftPolicy": "report"}"#)
            try run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/web0/accept_ra")
            #expect(try daemon.send("POST", "/v1/reconcile?device=web0&wait=5s").status == 200)
            try daemon.waitForReason("DriftReported", of: "web0")
            #expect(try Self.setting("accept_ra", of: "web0") == "1")
            let drift = try daemon.send("GET", "/v1/drift")
            #expect(drift["items", "0", "drift", "0", "field"] as? String == "link.ipv6")
            #expect(drift["items", "0", "drift", "0", "wanted"] as? [String] == ["ipv6.accept_ra=0"])
            #expect(drift["items", "0", "drift", "0", "observed"] as? [String] == ["ipv6.accept_ra=1"])
            let steps = drift["items", "0", "plan"] as? [[String: Any]]
            #expect(steps?.map { $0["step"] as? String } == ["set_link", "set_ipv6"])

            let plan = try daemon.send(
                "POST", "/v1/apply?dryRun=true", json: #"{"devices": [{"metadata": {"name": "new0"}}]}"#)
            let planned = (plan["plan", "0", "steps"] as? [[String: Any]] ?? []).compactMap { step in
                (step["step"] as? String).map { ($0, step["arguments"] as? [String: Any] ?? [:]) }
            }
            let settings = try #require(planned.firstIndex { $0.0 == "set_ipv6" })
            let up = try #require(planned.firstIndex { $0.1["up"] != nil })
            #expect(settings < up)
        }
    }

    @Test func thePolicyChangesInPlace() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"access": "open", "multiQueue": true}"#)
            let consumers = try Self.consumers(["web0"])
            try Self.expectClosed("web0", isDisabled: true)
            #expect(try daemon.patch("web0", spec: #"{"link": {"ipv6": "kernelDefault"}}"#).status == 200)
            for (name, value) in ["accept_ra": "1", "autoconf": "1", "accept_redirects": "1", "disable_ipv6": "0"] {
                #expect(try Self.setting(name, of: "web0") == value)
            }
            try eventually("it has its address") { try Interface("web0")?.linkLocalAddresses.count == 1 }
            // Now the settings are whatever others make of them.
            try run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/web0/accept_ra")
            #expect(try daemon.send("POST", "/v1/reconcile?device=web0&wait=5s").status == 200)
            #expect(try Self.setting("accept_ra", of: "web0") == "0")
            #expect(
                try daemon.patch(
                    "web0", spec: #"{"link": {"ipv6": "stated", "addresses": ["2001:db8::1/64"]}}"#, wait: "1s"
                )
                .status < 300)
            try daemon.waitUntilReady("web0")
            try Self.expectClosed("web0", isDisabled: false)
            #expect(try Interface("web0")?.linkLocalAddresses == [])
            #expect(try daemon.patch("web0", spec: #"{"link": {"ipv6": "off"}}"#).status == 422)
            #expect(try daemon.patch("web0", spec: #"{"link": {"ipv6": "off", "addresses": []}}"#).status == 200)
            try Self.expectClosed("web0", isDisabled: true)
            _ = consumers
        }
    }

    @Test func aPortOfABridgeHasNoIPv6() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "link", "add", "br0", "up", "type", "bridge")
            _ = try daemon.create("web0", spec: #"{"link": {"controller": "br0"}}"#)
            try Self.expectClosed("web0", isDisabled: true)
            let consumers = try Self.consumers(["web0"])
            // The bridge is not Tapster's: it sends, and is configured by what comes in.
            try run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/br0/disable_ipv6")
            _ = consumers["web0"]?.frames()
            try consumers["web0"]?.send(GuestFrames.multicastQuery())
            #expect(consumers["web0"]?.frames().contains(where: GuestFrames.isIPv6) == false)
        }
    }

    /// Interfaces of the same name in two namespaces.
    @Test func theSettingsAreThoseOfTheNamespace() async throws {
        try await withDaemon { (daemon) throws in
            let namespace = NamedNamespace()
            try namespace.make()
            try run("ip", "link", "add", "web0", "type", "bridge")
            let before = try run("sh", "-c", "cd /proc/sys/net/ipv6/conf; grep -r . all default web0 | sort")
            _ = try daemon.create("web0", spec: #"{"networkNamespace": "\#(namespace.location)"}"#)
            try Self.expectClosed("web0", isDisabled: true, in: namespace.path)
            #expect(try Self.setting("accept_ra", of: "default", in: namespace.path) == "1")
            #expect(try run("sh", "-c", "cd /proc/sys/net/ipv6/conf; grep -r . all default web0 | sort") == before)
        }
    }

    @Test func anAdoptedDeviceKeepsItsIPv6() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "tuntap", "add", "web0", "mode", "tap", "multi_queue", "vnet_hdr")
            try run("ip", "link", "set", "web0", "up")
            let adopted = try daemon.send("POST", "/v1/unmanaged/web0/adopt?wait=5s")
            #expect(adopted.status == 201)
            #expect(try daemon.send("GET", "/v1/devices/web0")["spec", "link", "ipv6"] as? String == "kernelDefault")
            #expect(try Self.setting("accept_ra", of: "web0") == "1")
        }
    }
}
