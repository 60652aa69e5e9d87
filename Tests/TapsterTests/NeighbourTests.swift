import Foundation
import TestSupport
import Testing

/// The service beside udev and other programs that manage interfaces, each the real one: systemd-networkd,
/// NetworkManager, libvirt, Open vSwitch's userspace datapath.
@Suite(.neighbours) struct NeighbourTests {
    /// `TAPSTER_NEIGHBOUR_DEVICES` sets another number.
    private static let devices =
        ProcessInfo.processInfo.environment["TAPSTER_NEIGHBOUR_DEVICES"].flatMap { Int($0) } ?? 40

    private func withSandbox(_ body: @escaping @Sendable (SystemdSandbox) throws -> Void) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let sandbox = try SystemdSandbox(in: directory, hasNeighbours: true)
                do {
                    try body(sandbox)
                } catch {
                    throw TestFailure("\(error)\n\(sandbox.journal)")
                }
            }
        }
    }

    /// networkd makes every tap a port of a bridge, as with a `.network` that matches too much, and NetworkManager
    /// manages every interface that is up.
    @Test func networkManagersLeaveDevicesAlone() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.installFilesForNeighbours()
            try sandbox.configureNetworkd(
                "[Link]", "MTUBytes=1400", "[Network]", "Bridge=caught", "DHCP=yes", "Address=198.51.100.1/24")
            try sandbox.run("systemctl", "start", "dbus", "NetworkManager", "systemd-networkd", "tapster")
            try apply(mtu: 1450, in: sandbox)
            try apply(mtu: 1460, in: sandbox)
            let consumer = try sandbox.launch(
                "tapster", "exec", "--device", "v0", "--", "sleep", "1000", output: "consumer")
            defer { consumer.signal(SIGKILL) }
            try eventually("the consumer has the queues") { try sandbox.interface("v0")?.tun("numqueues") == "2" }

            try sandbox.run("ip", "tuntap", "add", "foreign", "mode", "tap")
            try expectOnlyForeignOnesAreManaged(in: sandbox)
            // As a package's installation does.
            try sandbox.run("udevadm", "trigger", "--subsystem-match=net", "--action=change", "--settle")
            try sandbox.run("systemctl", "restart", "tapster", "systemd-networkd", "NetworkManager")
            try expectOnlyForeignOnesAreManaged(in: sandbox)
            // A new process of the service has set all marks again.
            #expect(try sandbox.marks == Set((0..<Self.devices).map { "v\($0)" }))

            consumer.signal(SIGKILL)
            try eventually("the lease has ended") {
                (try sandbox.daemon.send("GET", "/v1/leases")["items"] as? [Any])?.isEmpty == true
            }
            let end = try sandbox.daemon.send("POST", "/v1/apply?prune=true&wait=60s", json: #"{"devices": []}"#)
            #expect(end.status == 200)
            #expect(try sandbox.marks == [])
            try expectNoRepairs(in: sandbox)
        }
    }

    /// Devices of each kind. Their names say nothing.
    private func apply(mtu: Int, in sandbox: SystemdSandbox) throws {
        let kinds = [
            #""queues": 2"#, #""access": "open", "owner": 0, "queues": 2"#, #""kind": "tun", "queues": 2"#,
            #""queues": 1, "multiQueue": false"#,
        ]
        let devices = (0..<Self.devices).map { number in
            let address = "10.0.\(number / 250).\(number % 250 + 1)/32"
            let spec = kinds[number % kinds.count] + #", "link": {"mtu": \#(mtu), "addresses": ["\#(address)"]}"#
            return #"{"metadata": {"name": "v\#(number)"}, "spec": {\#(spec)}}"#
        }
        let answer = try sandbox.daemon.send(
            "POST", "/v1/apply?wait=60s", json: #"{"devices": [\#(devices.joined(separator: ", "))]}"#)
        try #require(answer.status == 200, "\(answer.text)")
    }

    private func expectOnlyForeignOnesAreManaged(in sandbox: SystemdSandbox) throws {
        // networkd handles interfaces in the order of udev's events, so it has decided about the others by then.
        try eventually("networkd manages the foreign tap") {
            try sandbox.run("ip", "-o", "link", "show", "foreign").contains("master caught")
        }
        try eventually("NetworkManager manages the foreign tap") {
            let states = try sandbox.run("nmcli", "--terse", "--fields", "DEVICE,STATE", "device")
            return states.contains("foreign:") && !states.contains("foreign:unmanaged")
        }
        // IDX LINK TYPE OPERATIONAL SETUP
        let links = try sandbox.run("networkctl", "list", "--no-legend", "--no-pager").split(separator: "\n")
            .map { $0.split(separator: " ") }.filter { $0.count == 5 && $0[1].hasPrefix("v") }
        #expect(links.count == Self.devices)
        #expect(links.filter { $0[4] != "unmanaged" } == [])
        let states = try sandbox.run("nmcli", "--terse", "--fields", "DEVICE,STATE", "device").split(separator: "\n")
            .filter { $0.hasPrefix("v") }
        #expect(states.count == Self.devices)
        #expect(states.filter { !$0.hasSuffix(":unmanaged") } == [])
        try expectNoRepairs(in: sandbox)
    }

    private func expectNoRepairs(in sandbox: SystemdSandbox) throws {
        let repairs = try sandbox.daemon.metrics().split(separator: "\n").filter {
            $0.hasPrefix("tapster_drift_repairs_total{") && !$0.hasSuffix(" 0")
        }
        #expect(repairs == [])
        let events = try sandbox.daemon.send("GET", "/v1/events?limit=1000")["items"] as? [[String: Any]]
        let warnings = try #require(events).filter { $0["type"] as? String == "Warning" }
        #expect(warnings.isEmpty, "\(warnings)")
    }

    @Test func whatNetworkdChangesIsToldOnceAndRepaired() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.configureNetworkd("[Link]", "MTUBytes=1400", "[Network]", "LinkLocalAddressing=no")
            try sandbox.run("systemctl", "start", "dbus", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 2, "link": {"addresses": ["192.0.2.1/24"]}}"#)
            let consumer = try sandbox.launch(
                "tapster", "exec", "--device", "web0", "--", "sleep", "1000", output: "consumer")
            defer { consumer.signal(SIGKILL) }
            for times in 1...2 {
                try sandbox.run("systemctl", "restart", "systemd-networkd")
                try eventually("networkd has configured the device") {
                    try sandbox.run("networkctl", "list", "--no-legend", "--no-pager", "web0").contains(" configured")
                }
                try eventually("both changes are told") {
                    try sandbox.daemon.repairs(of: "web0", "link.mtu") == times
                        && sandbox.daemon.repairs(of: "web0", "link.addresses") == times
                }
                #expect(try sandbox.daemon.phase("web0") == "Ready")
                #expect(try sandbox.run("ip", "-o", "address", "show", "web0").contains("192.0.2.1/24"))
            }
        }
    }

    /// networkd makes the device a port again whenever it has left the bridge.
    @Test func aConflictWithNetworkdIsToldAndEndsWithIt() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.configureNetworkd("[Network]", "Bridge=caught", "LinkLocalAddressing=no")
            try sandbox.run("systemctl", "start", "dbus", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 2}"#)
            try sandbox.run("systemctl", "start", "systemd-networkd")
            try sandbox.daemon.waitForReason("Contested", of: "web0")
            try sandbox.run("systemctl", "stop", "systemd-networkd")
            try sandbox.daemon.waitUntilReady("web0")
            #expect(try !sandbox.run("ip", "-o", "link", "show", "web0").contains("master"))
        }
    }

    @Test func whatNetworkManagerChangesIsToldOnceAndRepaired() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run("systemctl", "start", "dbus", "NetworkManager", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 2, "link": {"addresses": ["192.0.2.1/24"]}}"#)
            func hasConnection() throws -> Bool {
                try sandbox.run("nmcli", "--terse", "--fields", "DEVICE,STATE", "device").contains("web0:connected")
            }
            try eventually("NetworkManager has made a connection for it", hasConnection)
            #expect(try sandbox.daemon.repairs(of: "web0") == 0)
            // Removes the addresses.
            try sandbox.run("nmcli", "device", "disconnect", "web0")
            try eventually("it is told") { try sandbox.daemon.repairs(of: "web0") > 0 }
            try eventually("NetworkManager has a connection again", hasConnection)
            #expect(try sandbox.daemon.repairs(of: "web0") == 1)
            #expect(try sandbox.daemon.phase("web0") == "Ready")
        }
    }

    @Test func libvirtUsesAnOpenDeviceWithoutConflict() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run("ip", "link", "add", "br0", "up", "type", "bridge")
            try sandbox.run("systemctl", "start", "dbus", "tapster", "libvirtd")
            let spec = #"{"queues": 2, "access": "open", "owner": 0, "link": {"controller": "br0"}}"#
            try sandbox.daemon.create("web0", spec: spec)
            let index = try sandbox.interface("web0")?.index
            let machine = """
                <domain type='qemu'><name>vm</name><memory unit='MiB'>32</memory>
                <os><type arch='x86_64' machine='pc'>hvm</type></os>
                <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
                <interface type='ethernet'><target dev='web0' managed='no'/>
                <model type='virtio'/><driver name='qemu' queues='2'/></interface></devices></domain>
                """
            try sandbox.run("bash", "-c", "echo \"$1\" >/tmp/vm.xml", "bash", machine)
            for _ in 1...2 {
                try sandbox.run("virsh", "create", "/tmp/vm.xml")
                #expect(try sandbox.interface("web0")?.tun("numqueues") != "0")
                try sandbox.run("virsh", "destroy", "vm")
                try eventually("all is as before") {
                    try sandbox.daemon.phase("web0") == "Ready" && sandbox.interface("web0")?.tun("numqueues") == "0"
                }
            }
            #expect(try sandbox.interface("web0")?.index == index)
            let changed = try sandbox.daemon.events(of: "web0").compactMap(\.field).filter { $0.hasPrefix("link.") }
            #expect(changed == [])
            #expect(try !sandbox.daemon.events(of: "web0").contains { $0.reason == "Contested" })
        }
    }

    /// It replaces the root qdisc when it adds a port.
    @Test func whatOpenVSwitchChangesIsToldOnceAndRepaired() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run("systemctl", "start", "tapster", "openvswitch-switch")
            try sandbox.daemon.create("web0", spec: #"{"queues": 2}"#)
            // Each command waits until the switch has carried it out.
            try sandbox.run("ovs-vsctl", "add-br", "ovs0", "--", "set", "bridge", "ovs0", "datapath_type=netdev")
            for times in 1...2 {
                try sandbox.run("ovs-vsctl", "add-port", "ovs0", "web0")
                try eventually("it is told") { try sandbox.daemon.repairs(of: "web0") == times }
                try sandbox.run("ovs-vsctl", "del-port", "ovs0", "web0")
                #expect(try sandbox.daemon.phase("web0") == "Ready")
            }
            #expect(try sandbox.daemon.repairs(of: "web0", "link.queueDiscipline") == 2)
        }
    }
}

extension SystemdSandbox {
    /// As `docs/operations.md` says.
    fileprivate func installFilesForNeighbours() throws {
        let files = "/usr/share/doc/tapster"
        try run("install", "-m", "644", "-t", "/etc/udev/rules.d", files + "/70-tapster.rules")
        try run(
            "install", "-D", "-m", "644", "-t", "/etc/systemd/network", files + "/10-tapster.link",
            files + "/10-tapster.network")
        try run("udevadm", "control", "--reload")
    }

    /// Has networkd, which is not started, apply these lines to every tap and tun, and make the bridge `caught`.
    fileprivate func configureNetworkd(_ lines: String...) throws {
        func write(_ name: String, _ lines: [String]) throws {
            let text = lines.joined(separator: "\n")
            try run("install", "-d", "/etc/systemd/network")
            try run("bash", "-c", "echo \"$1\" >/etc/systemd/network/\(name)", "bash", text)
        }
        try write("50-caught.netdev", ["[NetDev]", "Name=caught", "Kind=bridge"])
        try write("50-all.network", ["[Match]", "Kind=tun"] + lines)
    }

    /// The names of the marked interfaces.
    fileprivate var marks: Set<Substring> {
        get throws { Set(try run("ls", "/run/tapster/interfaces").split(separator: "\n")) }
    }
}

extension Daemon {
    /// How many repairs of the field, or of any field, its history has.
    fileprivate func repairs(of name: String, _ field: String? = nil) throws -> Int {
        try events(of: name).filter { $0.reason == "DriftRepaired" && (field == nil || $0.field == field) }.count
    }
}

/// Where privileged tests are required, missing neighbours are a failure.
@Suite struct NeighbourAvailabilityTests {
    @Test func neighboursAreThereWhereTheyAreRequired() {
        #expect(SystemdSandbox.hasNeighbours || !Privileged.isRequired)
    }
}
