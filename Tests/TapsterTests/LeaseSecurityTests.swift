import Foundation
import Glibc
import TestSupport
import Testing

/// Which clients get queues, and what happens to the queues of a process that ends.
@Suite(.privileged) struct LeaseSecurityTests {
    /// Requests a lease and prints a line: status, the problem's code, and the number of descriptors.
    private static let asker = """
        import json, re, socket, sys, time
        path, target = sys.argv[1:]
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
        except OSError as error:
            sys.exit(f"{error.errno} none 0")
        connection.sendall((f"GET {target} HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\n"
                            "Upgrade: tapster-lease/1\\r\\n\\r\\n").encode())
        data, descriptors = b"", []
        def is_whole():
            head, separator, rest = data.partition(b"\\r\\n\\r\\n")
            if not separator: return False
            if b" 101 " in head[:16]: return b'"last":true' in rest
            return len(rest) >= int(re.search(rb"(?i)content-length: *(\\d+)", head)[1])
        while not is_whole():
            part, attached, _, _ = socket.recv_fds(connection, 65536, 250)
            if not part: break
            data += part
            descriptors += attached
        rest = data.partition(b"\\r\\n\\r\\n")[2]
        code = json.loads(rest).get("code", "none") if rest else "none"
        # What comes late came too.
        connection.settimeout(0.05)
        try: descriptors += socket.recv_fds(connection, 65536, 250)[1]
        except TimeoutError: pass
        print(data[9:12].decode(), code, len(descriptors))
        """

    private static let others: UInt32 = 64_242

    /// Runs it as a user with these groups.
    private static func ask(
        _ daemon: Daemon, _ device: String, user: UInt32, group: UInt32, groups: [UInt32] = [], query: String = ""
    ) throws -> String {
        let groups = groups.isEmpty ? ["--clear-groups"] : ["--groups", groups.map(String.init).joined(separator: ",")]
        let output = daemon.directory + "/asked-\(UInt32.random(in: 0 ... .max))"
        let words =
            ["--reuid", "\(user)", "--regid", "\(group)"] + groups + [
                "--", "/usr/bin/python3", "-c", asker, daemon.socket, "/v1/devices/\(device)/lease\(query)",
            ]
        try ChildProcess("setpriv", words, output: output).wait()
        return try String(contentsOfFile: output, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func onlyOwnersMembersAndRootGetQueues() async throws {
        try await withDaemon { (daemon) throws in
            let (owner, group): (UInt32, UInt32) = (64_001, 64_002)
            try daemon.create("web0", spec: #"{"queues": 2, "owner": \#(owner), "group": \#(group)}"#)
            try daemon.create("web1", spec: #"{"queues": 2}"#)
            let baseline = try daemon.descriptorsAtRest("web0")

            // The socket is accessible to root and its group only; other users cannot connect.
            #expect(try Self.ask(daemon, "web0", user: owner, group: Self.others) == "\(EACCES) none 0")
            #expect(chmod(daemon.socket, 0o666) == 0)

            let refused = try Self.ask(daemon, "web0", user: Self.others, group: Self.others)
            #expect(refused == "403 LEASE_FORBIDDEN 0")
            // A group ID is not accepted as a user ID, nor the reverse.
            #expect(try Self.ask(daemon, "web0", user: group, group: owner) == refused)
            let member = try Self.ask(daemon, "web0", user: Self.others, group: Self.others, groups: [owner, 7])
            #expect(member == refused)
            // Without owner and group, no unprivileged user matches.
            #expect(try Self.ask(daemon, "web1", user: owner, group: group) == refused)
            #expect(try Self.ask(daemon, "web1", user: Self.others, group: 0, groups: [0]) == refused)

            #expect(try Self.ask(daemon, "web0", user: owner, group: Self.others) == "101 none 2")
            try daemon.waitUntilAllIsFree(["web0"], baseline)
            #expect(try Self.ask(daemon, "web0", user: Self.others, group: group) == "101 none 2")
            try daemon.waitUntilAllIsFree(["web0"], baseline)
            // More groups than the kernel returns in one call, with the matching one last.
            let many = (0..<100).map { 70_000 + $0 } + [group]
            #expect(try Self.ask(daemon, "web0", user: Self.others, group: 1, groups: many) == "101 none 2")
            try daemon.waitUntilAllIsFree(["web0"], baseline)
            #expect(try Self.ask(daemon, "web1", user: 0, group: Self.others) == "101 none 2")
            try daemon.waitUntilAllIsFree(["web0", "web1"], baseline)
            // A refused client learns nothing about the queue's state.
            let holder = try Lessee(daemon.socket, of: "web0")
            let asked = try Self.ask(daemon, "web0", user: Self.others, group: Self.others, query: "?queues=0")
            #expect(asked == refused)
            _ = holder
        }
    }

    @Test func queuesOfOthersAreRefused() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            for (queue, consumer) in [(0, "vm-1"), (1, "vm-2")] {
                let path = "/v1/devices/web0/queues/\(queue)/assignment"
                #expect(try daemon.send("PUT", path, json: #"{"consumer": "\#(consumer)"}"#).status == 201)
            }
            let baseline = try daemon.descriptorsAtRest("web0")
            func answer(_ query: String, device: String = "web0") throws -> String {
                let client = try Lessee(daemon.socket)
                client.ask(device, query: query)
                try client.receive()
                #expect(client.status == 101 || client.descriptors.isEmpty)
                return "\(client.status) \(client.problem["code"] as? String ?? "\(client.queues)")"
            }
            #expect(try answer("?queues=0") == "403 QUEUE_TAKEN")
            #expect(try answer("?consumer=vm-2&queues=0") == "403 QUEUE_TAKEN")
            // One queue of another consumer makes the whole request fail.
            #expect(try answer("?consumer=vm-1&queues=0,1,2") == "403 QUEUE_TAKEN")
            #expect(try answer("?consumer=vm-3") == "409 NO_FREE_QUEUE")
            try daemon.waitUntilAllIsFree(["web0"], baseline)

            let holder = try Lessee(daemon.socket, of: "web0", query: "?consumer=vm-1")
            #expect(holder.queues == [0])
            let client = try Lessee(daemon.socket)
            client.ask("web0", query: "?consumer=vm-1")
            try client.receive()
            #expect(client.status == 409 && client.problem["code"] as? String == "QUEUE_LEASED")
            #expect((client.problem["detail"] as? String ?? "").contains("pid \(getpid())"), "\(client.problem)")
            #expect(client.descriptors.isEmpty)
            #expect(try answer("?consumer=vm-2&queues=1,2") == "101 [1, 2]")
            holder.leave()
            client.leave()
            try daemon.waitUntilAllIsFree(["web0"], baseline)
        }
    }

    @Test func invalidRequestsGetNoQueues() async throws {
        try await withDaemon(options: ["--metrics-listen", "127.0.0.1:9487"]) { (daemon) throws in
            try run("ip", "link", "set", "lo", "up")
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let baseline = try daemon.descriptorsAtRest("web0")
            func send(_ text: String) throws -> (status: Int, head: String) {
                let client = try Lessee(daemon.socket)
                client.say(text)
                try client.receive()
                #expect(client.descriptors.isEmpty, "\(text)")
                return (client.status, client.head.lowercased())
            }
            let indexes = [
                "0,0", "-1", "-0", "+0", "300", "256", "255", "999999", "99999999999999999999", "", ",", "0,", "0,,1",
                "0%2C0", "%200", "0%00", "0x1", "1e0", "%D9%A1", "0;1", "4", "0,1,2,3,4",
            ]
            for value in indexes {
                let status = try send(Lessee.request("web0", query: "?queues=\(value)")).status
                #expect(status == 400 || status == 404, "queues=\(value): \(status)")
            }
            let consumers = [
                "", "%01", "a%0Ab", "a%7F", "a%00", "%FF", "../x", "%C3%A9", String(repeating: "x", count: 64),
            ]
            for value in consumers {
                let status = try send(Lessee.request("web0", query: "?consumer=\(value)")).status
                #expect(status == 400, "consumer=\(value): \(status)")
            }
            #expect(try send(Lessee.request("web0", query: "?force=maybe")).status == 400)
            #expect(try send(Lessee.request("web0", query: "?wait=5s")).status == 400)
            #expect(try send(Lessee.request("web9")).status == 404)
            #expect(try send(Lessee.request("..%2Fweb0")).status == 400)
            #expect(try send(Lessee.request("%00")).status == 400)

            let path = "/v1/devices/web0/lease"
            for fields in [
                "", "Upgrade: tapster-lease/1\r\n", "Connection: Upgrade\r\n",
                "Connection: Upgrade\r\nUpgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade: tapster-lease/2\r\n",
                "Connection: Upgrade\r\nUpgrade: tapster-lease\r\n",
                "Connection: close\r\nUpgrade: tapster-lease/1\r\n",
            ] {
                let (status, head) = try send("GET \(path) HTTP/1.1\r\nHost: x\r\n\(fields)\r\n")
                #expect(status == 426 && head.contains("\r\nupgrade: tapster-lease/1"), "\(fields): \(head)")
            }
            // HTTP/1.0 has no upgrade (RFC 9110, section 7.8).
            let old = "GET \(path) HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tapster-lease/1\r\n\r\n"
            #expect(try send(old).status == 426)
            for method in ["POST", "PUT", "DELETE", "PATCH"] {
                let (status, head) = try send(
                    "\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tapster-lease/1\r\n"
                        + "Content-Length: 0\r\n\r\n")
                #expect(status == 405 && head.contains("\r\nallow: get"), "\(method): \(head)")
            }
            let overTCP = try HTTPClient(port: 9_487).send(
                "GET", path, headers: ["Connection": "Upgrade", "Upgrade": "tapster-lease/1"])
            #expect(overTCP.status == 404 || overTCP.status == 400)
            try daemon.waitUntilAllIsFree(["web0"], baseline)
        }
    }

    /// Its children have copies of the queues, which must get no packets after its death.
    @Test func aKilledConsumerLosesItsQueuesThoughChildrenHoldCopies() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4, "link": {"addresses": ["192.0.2.1/24"]}}"#)
            try run("ip", "neighbour", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "web0")
            let baseline = try daemon.descriptorsAtRest("web0")
            let output = daemon.directory + "/child"
            let process = try ChildProcess(
                "/usr/bin/python3",
                [
                    "-c",
                    """
                    import os, select, socket, sys, time
                    connection = socket.socket(socket.AF_UNIX)
                    connection.connect(sys.argv[1])
                    connection.sendall(b"GET /v1/devices/web0/lease HTTP/1.1\\r\\nHost: x\\r\\n"
                                       b"Connection: Upgrade\\r\\nUpgrade: tapster-lease/1\\r\\n\\r\\n")
                    data, queues = b"", []
                    while b'"last":true' not in data:
                        part, attached, _, _ = socket.recv_fds(connection, 65536, 250)
                        data, queues = data + part, queues + attached
                    child = os.fork()
                    if child == 0:
                        # The copies, but not the connection.
                        connection.close()
                        print("child", os.getpid(), flush=True)
                        count = 0
                        while True:
                            for queue in queues:
                                try:
                                    while os.read(queue, 65536):
                                        count += 1
                                        if count % 100 == 1: print("packets", count, flush=True)
                                except OSError: pass
                            time.sleep(0.002)
                    time.sleep(1000)
                    """, daemon.socket,
                ], output: output)
            defer { process.signal(SIGKILL) }
            func printed() -> [[Substring]] {
                let text = (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
                return text.split(separator: "\n").map { $0.split(separator: " ") }
            }
            let pinger = try Pinger(to: "192.0.2.2", from: "198.51.100", every: 1)
            try eventually("packets come") { printed().contains { $0.first == "packets" } }
            let child = try #require(printed().first { $0.first == "child" }.flatMap { pid_t(String($0[1])) })
            defer { kill(child, SIGKILL) }

            process.signal(SIGKILL)
            let start = ContinuousClock.now
            func queues() throws -> [String?] {
                let interface = try Interface("web0")
                return [interface?.tun("numqueues"), interface?.tun("numdisabled")]
            }
            while try queues() != ["0", "4"] {
                guard start.duration(to: .now) < .seconds(2) else { throw TestFailure("they are \(try queues())") }
            }
            process.wait()
            // The next holder gets all packets.
            let successor = try Lessee(daemon.socket, of: "web0")
            let before = printed().count
            var packets = 0
            var buffer = [UInt8](repeating: 0, count: 65_536)
            try eventually("the successor has the packets") {
                for queue in successor.descriptors { while read(queue, &buffer, buffer.count) > 0 { packets += 1 } }
                return packets >= 1_000
            }
            #expect(printed().count == before, "the child still gets packets")
            _ = pinger
            successor.leave()
            kill(child, SIGKILL)
            try daemon.waitUntilAllIsFree(["web0"], baseline)
        }
    }
}
