import Foundation
import TapCore
import TestSupport
import Testing

/// Who held which queues, and why no longer, in the history and among the leases.
@Suite(.privileged) struct LeaseEventTests {
    /// The members `lease` of a device's events of this reason, oldest first.
    private static func leases(_ reason: String, _ daemon: Daemon, _ device: String) throws -> [[String: Any]] {
        let items = try daemon.send("GET", "/v1/events?device=\(device)&limit=1000")["items"] as? [[String: Any]]
        return (items ?? []).filter { $0["reason"] as? String == reason }.compactMap { $0["lease"] as? [String: Any] }
    }

    private static func waitForEnd(
        of id: String, _ daemon: Daemon, _ device: String = "web0"
    ) throws -> [String: Any] {
        var found: [String: Any]?
        try eventually("the end of \(id) is in the history") {
            found = try leases("LeaseEnded", daemon, device).first { $0["id"] as? String == id }
            return found != nil
        }
        return try #require(found)
    }

    /// A way to end a lease of queues 0 and 1 of `web0`, and the recorded cause.
    struct Ending: CustomTestStringConvertible, Sendable {
        let cause: String
        let end: @Sendable (Daemon, LeaseHolder) throws -> Void

        var testDescription: String { cause }
    }

    static let endings: [Ending] = [
        Ending(cause: "closed") { (_, holder) throws in holder.close() },
        Ending(cause: "revoked") { (daemon, holder) throws in
            #expect(try daemon.send("DELETE", "/v1/leases/\(holder.id)").status == 204)
        },
        Ending(cause: "deleted") { (daemon, _) throws in
            #expect(try daemon.send("DELETE", "/v1/devices/web0?force=true&wait=10s").status == 200)
        },
        Ending(cause: "recreated") { (daemon, _) throws in
            let target = "/v1/devices/web0?recreate=true&force=true&wait=10s"
            let body = #"{"spec": {"vnetHeader": false, "offloads": []}}"#
            #expect(try daemon.send("PATCH", target, json: body).status == 200)
        },
        Ending(cause: "changed") { (daemon, _) throws in
            let target = "/v1/devices/web0?force=true&wait=10s"
            #expect(try daemon.send("PATCH", target, json: #"{"spec": {"queues": 1}}"#).status == 200)
        },
        Ending(cause: "lost") { (_, _) throws in try run("ip", "link", "del", "web0") },
        Ending(cause: "stopped") { (daemon, _) throws in
            #expect(daemon.stop() == 0)
            try daemon.start()
        },
    ]

    @Test(arguments: endings)
    func theHistoryHasWhoHeldWhatAndWhyNoLonger(ending: Ending) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4, "multiQueue": true}"#)
            for queue in [0, 1] {
                let target = "/v1/devices/web0/queues/\(queue)/assignment"
                #expect(try daemon.send("PUT", target, json: #"{"consumer": "vm-42"}"#).status == 201)
            }
            let holder = try LeaseHolder(daemon, "web0", "consumer=vm-42")
            #expect(holder.lines[0].queues == [0, 1])
            // Only for `changed`: assigned queues cannot be removed.
            let assignment = "/v1/devices/web0/queues/1/assignment"
            #expect(try daemon.send("DELETE", assignment).status == 204)
            try daemon.waitForHistory("LeaseGranted", of: "web0")
            let granted = try #require(try Self.leases("LeaseGranted", daemon, "web0").first)
            let name = try String(contentsOfFile: "/proc/self/comm", encoding: .utf8).dropLast()
            try ending.end(daemon, holder)
            let ended = try Self.waitForEnd(of: holder.id, daemon)
            for lease in [granted, ended] {
                #expect(lease["id"] as? String == holder.id)
                #expect(lease["consumer"] as? String == "vm-42")
                #expect(lease["queues"] as? [Int] == [0, 1])
                #expect(lease["pid"] as? Int == Int(getpid()))
                #expect(lease["uid"] as? Int == 0 && lease["userName"] as? String == "root")
                #expect(lease["command"] as? String == String(name))
            }
            #expect(granted["cause"] is NSNull)
            #expect(ended["cause"] as? String == ending.cause)
            if ending.cause != "stopped" {
                let metric = #"tapster_leases_ended_total{reason="\#(ending.cause)"}"#
                #expect(try daemon.metric(metric) == "1")
            }
        }
    }

    /// The list of leases has the same, also of a user without a name.
    @Test(arguments: [(UInt32(65_534), "nobody"), (4_242_424, nil)])
    func theUserIsNamed(user: UInt32, name: String?) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2, "owner": \#(user)}"#)
            try run("chmod", "755", daemon.directory)
            try run("chmod", "666", daemon.socket)
            let holder = try asUser(user, user) { try LeaseHolder(daemon, "web0") }
            let lease = try daemon.send("GET", "/v1/leases/\(holder.id)")
            #expect(lease["uid"] as? Int == Int(user))
            #expect(lease["userName"] as? String == name)
            #expect(lease["command"] is String)
        }
    }

    /// A process gives itself a name that would clear the terminal, or reverse the line of a log.
    @Test(arguments: [
        (#"a\x1b[2J\x07b"#, "a?[2J?b"), (#"\xe2\x80\xaeexe.txt"#, "?exe.txt"), (#"x\xff\xfey"#, "x\u{FFFD}\u{FFFD}y"),
        (#"0123456789abcdefghij"#, "0123456789abcde"),
    ])
    func aHostileNameIsHarmless(name: String, shown: String) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let script = """
                import socket, time
                open("/proc/self/comm", "wb").write(b"\(name)")
                s = socket.socket(socket.AF_UNIX)
                s.connect("\(daemon.socket)")
                s.send(b"GET /v1/devices/web0/lease HTTP/1.1\\r\\nHost: t\\r\\nConnection: Upgrade\\r\\n"
                       b"Upgrade: tapster-lease/1\\r\\n\\r\\n")
                time.sleep(1000)
                """
            let client = try ChildProcess("/usr/bin/python3", ["-c", script], output: daemon.directory + "/client.log")
            defer {
                client.signal(SIGKILL)
                client.wait()
            }
            try daemon.waitForHistory("LeaseGranted", of: "web0")
            #expect(try Self.leases("LeaseGranted", daemon, "web0").first?["command"] as? String == shown)
            let items = try daemon.send("GET", "/v1/leases")["items"] as? [[String: Any]]
            #expect(items?.first?["command"] as? String == shown)
            #expect(try daemon.condition("Leased", of: "web0")?.message.contains("(\(shown))") == true)
        }
    }

    /// `tapster exec` becomes its command after the lease, and is shown by its name.
    @Test func aLeaseOfTapsterExecHasTheNameOfItsCommand() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let client = try ChildProcess(
                Daemon.binary, ["exec", "--socket", daemon.socket, "--device", "web0", "--", "/bin/sleep", "1000"],
                output: daemon.directory + "/client.log")
            defer {
                client.signal(SIGKILL)
                client.wait()
            }
            try daemon.waitForHistory("LeaseGranted", of: "web0")
            #expect(try Self.leases("LeaseGranted", daemon, "web0").first?["command"] as? String == "sleep")
        }
    }

    @Test func aLeaseThatOutlivesTheDaemonHasNotEnded() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = try Daemon(keptIn: directory)
                try daemon.create("web0", spec: #"{"queues": 2}"#)
                let holder = try LeaseHolder(daemon, "web0")
                try daemon.waitForHistory("LeaseGranted", of: "web0")
                let before = try daemon.send("GET", "/v1/leases/\(holder.id)")
                daemon.kill()
                try daemon.start()
                let after = try daemon.send("GET", "/v1/leases/\(holder.id)")
                for key in ["command", "userName", "since"] {
                    #expect(before[key] as? String == after[key] as? String, "\(key)")
                }
                #expect(before["command"] is String)
                #expect(try Self.leases("LeaseEnded", daemon, "web0").isEmpty)
                holder.close()
                #expect(try Self.waitForEnd(of: holder.id, daemon)["cause"] as? String == "closed")
            }
        }
    }

    @Test func aClientThatLeasesInALoopHasFewEvents() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            var last = ""
            for _ in 0..<100 {
                let holder = try LeaseHolder(daemon, "web0")
                last = holder.id
                holder.close()
                holder.queues = [:]
                try daemon.waitForLeases([])
            }
            try daemon.create("web1", spec: #"{"queues": 2}"#)
            let other = try LeaseHolder(daemon, "web1")
            try daemon.waitForHistory("LeaseGranted", of: "web1")
            _ = other
            let granted = try Self.leases("LeaseGranted", daemon, "web0")
            let ended = try Self.leases("LeaseEnded", daemon, "web0")
            #expect((1...40).contains(granted.count + ended.count), "\(granted.count) + \(ended.count)")
            #expect(!ended.contains { $0["id"] as? String == last })
        }
    }
}
