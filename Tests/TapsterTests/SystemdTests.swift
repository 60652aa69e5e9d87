import Foundation
import GRDB
import TestSupport
import Testing

/// The unit under a real systemd.
@Suite(.systemd) struct SystemdTests {
    /// CAP_NET_ADMIN is number 12 (capabilities(7)).
    private static let networkAdministrator = "0000000000001000"

    private func withSandbox(_ body: @escaping @Sendable (SystemdSandbox) throws -> Void) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let sandbox = try SystemdSandbox(in: directory)
                do {
                    try body(sandbox)
                } catch {
                    throw TestFailure("\(error)\n\(sandbox.journal)")
                }
            }
        }
    }

    @Test func theUnitRunsWithItsOnePrivilege() async throws {
        try await withSandbox { sandbox throws in
            #expect(try sandbox.run("systemd-analyze", "verify", "tapster.service") == "")
            try sandbox.run("systemctl", "start", "tapster")
            #expect(try sandbox.property("ActiveState") == "active")
            #expect(try sandbox.daemon.send("GET", "/readyz").status == 200)

            let status = try sandbox.run("cat", "/proc/\(sandbox.property("MainPID"))/status")
            for kind in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
                #expect(status.contains("Cap\(kind):\t\(Self.networkAdministrator)\n"))
            }
            let user = try sandbox.run("id", "-u", "tapster").trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(status.contains("Uid:" + String(repeating: "\t\(user)", count: 4)))
            #expect(try sandbox.run("stat", "-c", "%a %U %G", "/run/tapster/api.sock") == "660 tapster tapster\n")

            #expect(try sandbox.daemon.create("web0", spec: #"{"queues": 4}"#)["status", "phase"] as? String == "Ready")
            #expect(try sandbox.interface("web0")?.tun("user") == user)
            // By its inode it is recognized later.
            let inode = try sandbox.run(
                "python3", "-c",
                "import sqlite3; db = sqlite3.connect('/var/lib/tapster/tapster.db'); "
                    + "print(db.execute('SELECT inode FROM claim').fetchone()[0])")
            #expect(try sandbox.run("stat", "-L", "-c", "%i", "/sys/class/net/web0") == inode)
        }
    }

    @Test func devicesOutliveTheService() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run("systemctl", "start", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 4, "link": {"carrier": "on"}}"#)
            let before = try #require(try sandbox.interface("web0"))
            func isUntouched() throws -> Bool {
                let now = try sandbox.interface("web0")
                return now?.index == before.index && now?.carrierChanges == before.carrierChanges
            }

            try sandbox.run("systemctl", "restart", "tapster")
            #expect(try sandbox.daemon.phase("web0") == "Ready")
            #expect(try isUntouched())

            try sandbox.killDaemon()
            #expect(try sandbox.property("NRestarts") == "1")
            #expect(try sandbox.daemon.phase("web0") == "Ready")
            #expect(try isUntouched())

            try sandbox.run("systemctl", "stop", "tapster")
            #expect(try sandbox.property("Result") == "success")
            #expect(try sandbox.interface("web0")?.index == before.index)
        }
    }

    /// Without CAP_SYS_PTRACE the daemon can read the descriptors of its own user's processes only, and says so.
    @Test func holdersOfStrayQueuesAreNamedIfTheyCanBeRead() async throws {
        try await withSandbox { sandbox throws in
            #expect(try sandbox.exposure() <= 2.0)
            try sandbox.run("systemctl", "start", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 4}"#)
            let program = """
                import fcntl, struct, time
                queue = open("/dev/net/tun", "r+b", buffering=0)
                fcntl.ioctl(queue, 0x400454CA, struct.pack("16sH22x", b"web0", 0x5102))
                time.sleep(1000)
                """
            func holders() throws -> (count: Int?, holders: [[String: Any]]?) {
                let status = try sandbox.daemon.send("GET", "/v1/devices/web0")["status"] as? [String: Any]
                let strays = status?["strayQueues"] as? [String: Any]
                return (strays?["attached"] as? Int, strays?["holders"] as? [[String: Any]])
            }
            let roots = try sandbox.launch("/usr/bin/python3", "-c", program, output: "root")
            defer { roots.signal(SIGKILL) }
            try eventually("it is told") { try holders().count == 1 }
            #expect(try holders().holders == nil)
            let message = try sandbox.daemon.condition("StrayQueues", of: "web0")?.message ?? ""
            #expect(message.contains("CAP_SYS_PTRACE"), "\(message)")

            let own = try sandbox.launch(
                "setpriv", "--reuid", "tapster", "--regid", "tapster", "--clear-groups", "/usr/bin/python3", "-c",
                program, output: "own")
            defer { own.signal(SIGKILL) }
            try eventually("both are told") { try holders().count == 2 && holders().holders != nil }
            let user = try sandbox.run("id", "-u", "tapster").trimmingCharacters(in: .whitespacesAndNewlines)
            let holder = try #require(try holders().holders?.first)
            #expect("\(holder["uid"] ?? "")" == user && holder["descriptors"] as? Int == 1)
            #expect((holder["command"] as? String)?.hasPrefix("python3") == true)
        }
    }

    /// The daemon's own user can read what root writes to /etc.
    @Test func aReloadMakesTokensKnown() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run(
                "bash", "-c",
                "ip link set lo up; mkdir -p /etc/tapster; echo 'listen: 127.0.0.1:8480' >/etc/tapster/tapster.yaml")
            try sandbox.run("systemctl", "start", "tapster")
            let process = try sandbox.property("MainPID")
            let token = try sandbox.run("bash", "-c", "tapster token create ci --role viewer 2>/dev/null")
                .trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(
                try sandbox.run("stat", "-c", "%a %U %G", "/etc/tapster/tokens.yaml") == "640 root tapster\n")
            func status() throws -> String {
                try sandbox.run(
                    "curl", "--silent", "--max-time", "30", "--output", "/dev/null", "--write-out", "%{http_code}",
                    "--header", "Authorization: Bearer \(token)", "http://127.0.0.1:8480/v1/devices")
            }
            #expect(try status() == "401")
            try sandbox.run("systemctl", "reload", "tapster")
            try eventually("the token is known") { try status() == "200" }
            #expect(try sandbox.property("MainPID") == process)
            #expect(!sandbox.journal.contains(token))
        }
    }

    @Test func theDropInLetsItSetTheCPUsOfQueues() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run(
                "install", "-D", "-m", "644", "-t", "/run/systemd/system/tapster.service.d",
                "/usr/share/doc/tapster/receive-cpus.conf")
            try sandbox.run("systemctl", "daemon-reload")
            #expect(try sandbox.run("systemd-analyze", "verify", "tapster.service") == "")
            try sandbox.run("systemctl", "start", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 2}"#)
            let assignment = #"{"consumer": "vm-42", "cpus": [0]}"#
            #expect(
                try sandbox.daemon.send("PUT", "/v1/devices/web0/queues/1/assignment", json: assignment).status == 201)
            let consumer = try sandbox.launch(
                "tapster", "exec", "--device", "web0", "--consumer", "vm-42", "--", "sleep", "1000",
                output: "consumer")
            defer { consumer.signal(SIGKILL) }
            // The consumer's only queue is the kernel's first.
            try eventually("they are set") {
                let mask = try sandbox.run("cat", "/sys/class/net/web0/queues/rx-0/rps_cpus")
                return Int(mask.filter(\.isHexDigit), radix: 16) == 1
            }
        }
    }

    /// The unit's sandbox lets it write these files alone, and the drop-in those of other namespaces.
    @Test func itSetsWhatGuestsMayConfigure() async throws {
        try await withSandbox { sandbox throws in
            let settings = "cd /proc/sys/net/ipv6/conf/web0; cat accept_ra autoconf accept_redirects disable_ipv6"
            try sandbox.run("systemctl", "start", "tapster")
            #expect(try sandbox.daemon.create("web0")["status", "phase"] as? String == "Ready")
            #expect(try sandbox.run("sh", "-c", settings) == "0\n0\n0\n1\n")

            try sandbox.run(
                "install", "-D", "-m", "644", "-t", "/run/systemd/system/tapster.service.d",
                "/usr/share/doc/tapster/network-namespaces.conf")
            try sandbox.run("systemctl", "daemon-reload")
            #expect(try sandbox.run("systemd-analyze", "verify", "tapster.service") == "")
            try sandbox.run("ip", "netns", "add", "blue")
            try sandbox.run("systemctl", "restart", "tapster")
            #expect(
                try sandbox.daemon.create("blue0", spec: #"{"networkNamespace": "blue"}"#)["status", "phase"] as? String
                    == "Ready")
            #expect(
                try sandbox.run(
                    "ip", "netns", "exec", "blue", "sh", "-c", settings.replacingOccurrences(of: "web0", with: "blue0"))
                    == "0\n0\n0\n1\n")
        }
    }

    /// systemd keeps the descriptors of leases.
    @Test func leasesSurviveRestartsOfTheService() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run("systemctl", "start", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 4, "link": {"addresses": ["192.0.2.1/24"]}}"#)
            let consumer = try sandbox.launch(
                "/usr/bin/python3", "/usr/share/doc/tapster/examples/consumer.py", "web0", output: "consumer")
            defer { consumer.signal(SIGKILL) }
            try eventually("it has the queues") { sandbox.output("consumer").hasPrefix("web0: ") }
            let before = try #require(try sandbox.interface("web0"))
            let lease = try #require(try sandbox.daemon.send("GET", "/v1/leases")["items", "0", "id"] as? String)
            let monitor = try sandbox.launch("ip", "-d", "-o", "monitor", "link", output: "monitor")
            defer { monitor.signal(SIGKILL) }

            func goesOn() throws {
                #expect(try sandbox.daemon.send("GET", "/v1/leases")["items", "0", "id"] as? String == lease)
                let queues = try sandbox.daemon.send("GET", "/v1/devices/web0/queues")["items"] as? [[String: Any]]
                #expect(queues?.map { $0["kernelIndex"] as? Int } == [0, 1, 2, 3])
                #expect(queues?.allSatisfy { $0["attached"] as? Bool == true } == true)
                #expect(try sandbox.interface("web0")?.carrierChanges == before.carrierChanges)
                // Enough flows to reach each queue.
                let seen = sandbox.output("consumer").utf8.count
                try sandbox.run(
                    "bash", "-c",
                    """
                    ip neighbour replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev web0
                    for port in {1..64}; do echo >/dev/udp/192.0.2.2/$port; done
                    """)
                try eventually("packets come through each queue") {
                    let new = String(sandbox.output("consumer").dropFirst(seen))
                    // Ethernet, IPv4, UDP, and the line's end.
                    return (0..<4).allSatisfy { new.contains("queue \($0): \(14 + 20 + 8 + 1) bytes\n") }
                }
            }
            try goesOn()
            try sandbox.run("systemctl", "restart", "tapster")
            try goesOn()
            try sandbox.killDaemon()
            try goesOn()
            // It reports each attach and detach.
            for line in sandbox.output("monitor").split(separator: "\n") where line.contains(" numqueues ") {
                #expect(line.contains(" numqueues 4 "), "\(line)")
            }

            consumer.signal(SIGKILL)
            try eventually("its queues are detached", within: 5) {
                try sandbox.interface("web0")?.tun("numqueues") == "0"
            }
        }
    }
}

/// Where privileged tests are required, being unable to boot systemd is a failure.
@Suite struct SystemdAvailabilityTests {
    @Test func systemdIsThereWhereItIsRequired() {
        #expect(SystemdSandbox.isAvailable || !Privileged.isRequired)
    }
}
