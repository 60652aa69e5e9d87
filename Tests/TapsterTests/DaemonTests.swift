import CLinux
import Foundation
import Glibc
import TapHTTP
import TestSupport
import Testing

/// The real daemon on the real kernel, each in a namespace of its own.
@Suite(.privileged) struct DaemonTests {
    private static let web0 = #"{"metadata": {"name": "web0"}, "spec": {"queues": 4}}"#

    private func withDaemon(_ body: @escaping @Sendable (Daemon) throws -> Void) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = try Daemon(directory: directory)
                try body(daemon)
                daemon.kill()
            }
        }
    }

    private static func link(_ name: String) throws -> [String: Any]? {
        guard let text = try? run("ip", "-d", "-j", "link", "show", name) else { return nil }
        return (try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])?.first
    }

    /// The index of every interface except `lo`, by name.
    private static func interfaces() throws -> [String: Int] {
        let links = try JSONSerialization.jsonObject(with: Data(try run("ip", "-j", "link").utf8)) as? [[String: Any]]
        return (links ?? []).reduce(into: [:]) { interfaces, link in
            if let name = link["ifname"] as? String, name != "lo" { interfaces[name] = link["ifindex"] as? Int }
        }
    }

    private static func tun(_ link: [String: Any]?) -> [String: Any]? {
        (link?["linkinfo"] as? [String: Any])?["info_data"] as? [String: Any]
    }

    private static func repairs(_ daemon: Daemon, _ field: String) throws -> String? {
        try daemon.metrics().split(separator: "\n")
            .first { $0.hasPrefix("tapster_drift_repairs_total{field=\"\(field)\"}") }
            .map { String($0.split(separator: " ")[1]) }
    }

    @Test func aFourQueueTapIsMade() async throws {
        try await withDaemon { (daemon) throws in
            #expect(try daemon.send("POST", "/v1/devices?wait=10s", json: Self.web0).status == 201)
            let link = try #require(try Self.link("web0"))
            let tun = try #require(Self.tun(link))
            #expect(tun["type"] as? String == "tap")
            #expect(tun["persist"] as? Bool == true)
            #expect(tun["multi_queue"] as? Bool == true)
            #expect(tun["vnet_hdr"] as? Bool == true)
            #expect(tun["pi"] as? Bool == false)
            #expect(tun["user"] as? String == "root")
            #expect(link["qdisc"] as? String == "noqueue")
            #expect((link["flags"] as? [String])?.contains("UP") == true)
        }
    }

    /// The library reports the other version, so the daemon expects other behaviour than it has.
    @Test func aLibraryThatReadsRequestsDifferentlyEndsTheStart() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let other = HTTPLibrary.version.hasPrefix("0.") ? "1.0.1" : "0.9.75"
                let daemon = Daemon(stoppedIn: directory)
                let library = URL(fileURLWithPath: Daemon.binary).deletingLastPathComponent()
                    .appending(path: "libFaults.so")
                let process = try daemon.launch(
                    environment: ["LD_PRELOAD": library.path, "TAPSTER_TEST_HTTP_VERSION": other])
                #expect(process.wait() == 1)
                #expect(daemon.log.contains("libmicrohttpd \(other) "), "\(daemon.log)")
                #expect(daemon.log.contains("Install libmicrohttpd 0.9.75 to 1.0"), "\(daemon.log)")
                #expect(!FileManager.default.fileExists(atPath: daemon.database))
            }
        }
    }

    /// A log on a full disk does not end the daemon.
    @Test func itGoesOnThoughItsLogCannotBeWritten() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let socket = directory + "/s"
                let process = try ChildProcess(
                    Daemon.binary,
                    [
                        "serve", "--database", directory + "/t.db", "--socket", socket, "--socket-group", "0",
                        "--log-level", "debug",
                    ], output: "/dev/full")
                defer {
                    process.signal(SIGKILL)
                    process.wait()
                }
                try eventually("it is ready", within: 30) {
                    guard process.isRunning else { throw TestFailure("it ended with \(process.wait())") }
                    return (try? HTTPClient(socket: socket).send("GET", "/readyz").status) == 200
                }
                let answer = try HTTPClient(socket: socket).send(
                    "PUT", "/v1/devices/web0?wait=5s", headers: ["Content-Type": "application/json"], body: "{}")
                #expect(answer.status == 201)
                #expect(process.isRunning)
            }
        }
    }

    /// As shown by top(1), gdb and perf.
    @Test func itsThreadsHaveNames() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.send("GET", "/metrics")
            let tasks = "/proc/\(try #require(daemon.server))/task"
            let expected: Set = [
                "tapster-worker", "tapster-writer", "tapster-reader", "tapster-scrape", "tapster-counts",
                "tapster-slow", "tapster-holders",
            ]
            // A thread sets its own name as soon as it runs.
            try eventually("all have their names") {
                let names = try FileManager.default.contentsOfDirectory(atPath: tasks).map {
                    try String(contentsOfFile: "\(tasks)/\($0)/comm", encoding: .utf8)
                        .trimmingCharacters(in: .whitespacesAndNewlines)
                }
                return expected.isSubset(of: names)
            }
        }
    }

    @Test func everyFieldReachesTheKernel() async throws {
        try await withDaemon { (daemon) throws in
            let spec = #"""
                {"metadata": {"name": "open0"}, "spec": {"kind": "tap", "access": "open", "queues": 2, "owner": 1234,
                 "group": 4321, "packetInfo": true, "vnetHeader": true, "vnetHeaderSize": 10,
                 "link": {"mtu": 9000, "macAddress": "02:00:00:00:00:17", "txQueueLength": 77, "up": false,
                          "queueDiscipline": "kernelDefault"}}}
                """#
            #expect(
                try daemon.send("POST", "/v1/devices?wait=10s", json: spec)["status", "phase"] as? String == "Ready")
            let link = try #require(try Self.link("open0"))
            let tun = try #require(Self.tun(link))
            #expect(link["mtu"] as? Int == 9_000)
            #expect(link["address"] as? String == "02:00:00:00:00:17")
            #expect(link["txqlen"] as? Int == 77)
            #expect((link["flags"] as? [String])?.contains("UP") == false)
            #expect("\(tun["user"] ?? "")" == "1234")
            #expect("\(tun["group"] ?? "")" == "4321")
            #expect(tun["pi"] as? Bool == true)
            // The anchor is the only queue that is held, and it is detached.
            #expect(tun["numqueues"] as? Int == 0)
            #expect(tun["numdisabled"] as? Int == 1)
        }
    }

    @Test(arguments: [
        ("link.mtu", ["ip", "link", "set", "web0", "mtu", "9000"]),
        ("link.up", ["ip", "link", "set", "web0", "down"]),
        ("link.macAddress", ["ip", "link", "set", "web0", "address", "02:00:00:00:00:99"]),
        ("link.txQueueLength", ["ip", "link", "set", "web0", "txqueuelen", "3"]),
        ("link.queueDiscipline", ["tc", "qdisc", "replace", "dev", "web0", "root", "pfifo"]),
        ("name", []), ("device", ["ip", "link", "del", "web0"]),
    ])
    func externalChangesAreRepaired(field: String, command: [String]) async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.send("POST", "/v1/devices?wait=10s", json: Self.web0)
            let before = try Self.link("web0")
            if field == "name" {
                try daemon.renameInterface("web0", to: "stolen")
            } else {
                try run(command[0], Array(command.dropFirst()))
            }
            try eventually("\(field) is repaired and counted") { try Self.repairs(daemon, field) == "1" }
            let after = try Self.link("web0")
            for key in ["mtu", "address", "txqlen", "qdisc"] {
                #expect("\(after?[key] ?? "")" == "\(before?[key] ?? "")")
            }
            #expect((after?["flags"] as? [String])?.contains("UP") == true)
            if field != "device" { #expect(after?["ifindex"] as? Int == before?["ifindex"] as? Int) }
            try eventually("it is in the history") {
                let events = try daemon.send("GET", "/v1/events?device=web0&limit=1000")["items"] as? [[String: Any]]
                return events?.contains { $0["field"] as? String == field } == true
            }
        }
    }

    /// `ip tuntap del` attaches with other flags, clears the persistence, and closes: the device is either made
    /// persistent in time, or created again.
    @Test func aDeviceWhosePersistenceIsClearedStays() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.send("POST", "/v1/devices?wait=10s", json: Self.web0)
            try run("ip", "tuntap", "del", "dev", "web0", "mode", "tap", "multi_queue")
            try eventually("it is repaired and counted") {
                try Self.repairs(daemon, "device") == "1" || Self.repairs(daemon, "persistent") == "1"
            }
            try eventually("it stays") {
                let tun = Self.tun(try Self.link("web0"))
                return tun?["persist"] as? Bool == true && tun?["vnet_hdr"] as? Bool == true
            }
        }
    }

    @Test func aForeignTapIsLeftAlone() async throws {
        try await withDaemon { (daemon) throws in
            try run("ip", "tuntap", "add", "dev", "web0", "mode", "tap")
            try run("ip", "link", "set", "web0", "mtu", "1234")
            #expect(try daemon.send("POST", "/v1/devices?wait=1ms", json: Self.web0).status == 202)
            try eventually("the conflict is reported") {
                let device = try daemon.send("GET", "/v1/devices/web0")
                let conditions = device["status", "conditions"] as? [[String: Any]]
                return conditions?.contains { $0["type"] as? String == "Conflict" && $0["status"] as? String == "True" }
                    == true
            }
            #expect(try Self.link("web0")?["mtu"] as? Int == 1_234)
            // Deleting our device does not delete the foreign interface.
            #expect(try daemon.send("DELETE", "/v1/devices/web0?wait=10s").status == 200)
            #expect(try Self.link("web0")?["mtu"] as? Int == 1_234)
        }
    }

    @Test func killedAndStartedAgainItAdopts() async throws {
        try await withDaemon { (daemon) throws in
            for number in 0..<20 {
                let access = number % 2 == 0 ? "brokered" : "open"
                let body = #"{"metadata": {"name": "d\#(number)"}, "spec": {"queues": 2, "access": "\#(access)"}}"#
                #expect(try daemon.send("POST", "/v1/devices?wait=10s", json: body).status == 201)
            }
            let before = try settledInterfaces()
            daemon.kill()
            try daemon.start()
            let devices = try daemon.send("GET", "/v1/devices")["items"] as? [[String: Any]]
            #expect(devices?.count == 20)
            for device in devices ?? [] {
                #expect((device["status"] as? [String: Any])?["phase"] as? String == "Ready")
            }
            #expect(try run("ip", "-j", "link") == before)
            #expect(try Self.repairs(daemon, "device") == "0")
        }
    }

    /// Killed at random moments during writes: acknowledged writes are kept, and nothing leaks.
    @Test func killedAnywhereNothingIsLost() async throws {
        try await withDaemon { (daemon) throws in
            var random = SeededGenerator(seed: 7)
            var acknowledged: Set<String> = []
            var next = 0
            var interfaces: [String: Int] = [:]
            for _ in 0..<12 {
                let identifier = try #require(daemon.process?.identifier)
                let delay = UInt32.random(in: 0..<40_000, using: &random)
                let killing = DispatchGroup()
                DispatchQueue.global().async(group: killing) {
                    usleep(delay)
                    kill(identifier, SIGKILL)
                }
                if let client = try? daemon.connect() {
                    while true {
                        let name = "d\(next)"
                        next += 1
                        let body = #"{"metadata": {"name": "\#(name)"}, "spec": {"queues": 4}}"#
                        guard let answer = try? client.send("POST", "/v1/devices", json: body) else { break }
                        #expect(answer.status == 201)
                        acknowledged.insert(name)
                    }
                }
                // Reap the process only here: afterwards its ID may be reused.
                killing.wait()
                daemon.kill()
                try daemon.start()
                // No device is created twice: an interface keeps its index over every restart.
                let now = try Self.interfaces()
                for (name, index) in interfaces { #expect(now[name] == index, "\(name)") }
                interfaces = now
            }
            let items = try #require(try daemon.send("GET", "/v1/devices")["items"] as? [[String: Any]])
            let names = Set(items.compactMap { ($0["metadata"] as? [String: Any])?["name"] as? String })
            #expect(acknowledged.isSubset(of: names))
            try eventually("all are ready") {
                try daemon.metrics().contains(#"tapster_devices{phase="Ready"} \#(names.count)"#)
            }
            #expect(Set(try Self.interfaces().keys) == names)
        }
    }

    @Test func stoppingLeavesTheDevices() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.send("POST", "/v1/devices?wait=10s", json: Self.web0)
            #expect(daemon.stop() == 0)
            #expect(try Self.link("web0") != nil)
            #expect(access(daemon.socket, F_OK) != 0)
        }
    }

    /// The spec is on disk, so the client gets 202 and not a refusal.
    @Test func waitingRequestsAreAnsweredAtAStop() async throws {
        try await withDaemon { (daemon) throws in
            let client = try daemon.connect()
            // It cannot become Ready: the bridge does not exist.
            let body = #"{"spec": {"link": {"controller": "missing0"}}}"#
            try client.write(
                "PUT /v1/devices/web0?wait=60s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            try eventually("it is declared") { try daemon.send("GET", "/v1/devices/web0").status == 200 }
            #expect(daemon.stop() == 0)
            let answer = try client.readAnswer()
            #expect(answer.status == 202)
            #expect(answer["metadata", "name"] as? String == "web0")
            try daemon.start()
            #expect(try daemon.send("GET", "/v1/devices/web0").status == 200)
        }
    }

    @Test func deletionThatWasInterruptedIsFinished() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.send("POST", "/v1/devices?wait=10s", json: Self.web0)
            #expect(try daemon.send("DELETE", "/v1/devices/web0").status == 202)
            daemon.kill()
            try daemon.start()
            try eventually("it is gone") { try daemon.send("GET", "/v1/devices/web0").status == 404 }
            #expect(try Self.link("web0") == nil)
        }
    }

    @Test func aDatabaseIsServedByOneDaemon() async throws {
        try await withDaemon { (daemon) throws in
            let second = try ChildProcess(
                Daemon.binary, ["serve", "--database", daemon.database, "--socket", daemon.socket + "2"],
                output: daemon.directory + "/second")
            #expect(second.wait() == 1)
            let words = try String(contentsOfFile: daemon.directory + "/second", encoding: .utf8)
            #expect(words.contains("in use by another tapster"))
        }
    }

    @Test func readinessReachesTheServiceManager() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let path = directory + "/notify"
                let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
                defer { close(socket) }
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
                _ = withUnsafePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
                let daemon = try ChildProcess(
                    "env",
                    [
                        "NOTIFY_SOCKET=\(path)", Daemon.binary, "serve", "--database", directory + "/t.db", "--socket",
                        directory + "/s",
                    ])
                defer {
                    daemon.signal(SIGKILL)
                    daemon.wait()
                }
                func receive() -> String {
                    var buffer = [UInt8](repeating: 0, count: 256)
                    let count = recv(socket, &buffer, buffer.count, 0)
                    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
                }
                var patience = timeval(tv_sec: 30, tv_usec: 0)
                setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
                #expect(receive() == "READY=1")
                daemon.signal(SIGTERM)
                #expect(receive() == "STOPPING=1")
                #expect(daemon.wait() == 0)
            }
        }
    }
}

/// Where privileged tests are required, being unable to run them is a failure.
@Suite struct PrivilegeTests {
    @Test func privilegedTestsAreNotSkippedWhereTheyAreRequired() {
        #expect(Privileged.isAvailable || !Privileged.isRequired)
    }
}
