import Foundation
import Glibc
import TestSupport
import Testing

/// The daemon is killed before each step of each operation. After a restart the desired state is reached, nothing is
/// leaked or lost, and other interfaces are not affected.
@Suite(.privileged) struct CrashTests {
    /// An operation on a daemon that has `web0` and two bystanders.
    struct Operation: CustomTestStringConvertible, Sendable {
        let name: String
        /// Additional requests before it.
        var preparation: [Request] = []
        var commands: [[String]] = []
        let act: [Request]
        /// The devices afterwards; `nil` if a later request of several may or may not have been executed.
        let names: Set<String>
        /// Whether the kernel has the requested state, judged by the output of `ip -d -j` for `web0`.
        var isDone: @Sendable (_ web0: [String: Any]?) -> Bool = { _ in true }

        var testDescription: String { name }
    }

    struct Request: Sendable {
        let method: String
        let target: String
        var body: String?

        init(_ method: String, _ target: String, _ body: String? = nil) {
            self.method = method
            self.target = target
            self.body = body
        }

        static func patch(_ spec: String, query: String = "") -> Request {
            Request("PATCH", "/v1/devices/web0?wait=5s\(query)", #"{"spec": \#(spec)}"#)
        }
    }

    private static let bystanders: Set<String> = ["keep0", "keep1"]
    private static let usual = bystanders.union(["web0"])

    private static func link(_ key: String, _ value: String) -> @Sendable ([String: Any]?) -> Bool {
        { "\($0?[key] ?? "")" == value }
    }

    static let operations: [Operation] = [
        Operation(
            name: "create", act: [Request("PUT", "/v1/devices/new0?wait=5s", #"{"spec": {"queues": 4}}"#)],
            names: usual.union(["new0"])),
        Operation(
            name: "create an open one",
            act: [
                Request(
                    "PUT", "/v1/devices/new0?wait=5s", #"{"spec": {"access": "open", "multiQueue": true, "owner": 7}}"#)
            ],
            names: usual.union(["new0"])),
        Operation(
            name: "change the link",
            act: [.patch(#"{"link": {"mtu": 9000, "alias": "x", "txQueueLength": 7, "up": false}}"#)], names: usual,
            isDone: link("mtu", "9000")),
        Operation(
            name: "change the names", preparation: [.patch(#"{"link": {"altNames": ["old"]}}"#)],
            act: [.patch(#"{"link": {"altNames": ["new"]}}"#)], names: usual,
            isDone: { ($0?["altnames"] as? [String]) == ["new"] }),
        Operation(
            name: "change the addresses", preparation: [.patch(#"{"link": {"addresses": ["10.9.0.1/24"]}}"#)],
            act: [.patch(#"{"link": {"addresses": ["10.9.0.2/24", "2001:db8::1/64"]}}"#)], names: usual),
        Operation(
            name: "change the queue discipline", act: [.patch(#"{"link": {"queueDiscipline": "kernelDefault"}}"#)],
            names: usual, isDone: link("qdisc", "mq")),
        Operation(
            name: "keep the carrier", act: [.patch(#"{"link": {"carrier": "on"}}"#)], names: usual,
            isDone: link("operstate", "UP")),
        Operation(
            name: "change what needs a descriptor",
            act: [.patch(#"{"vnetHeaderSize": 20, "offloads": ["checksum"], "access": "open", "owner": 7}"#)],
            names: usual),
        Operation(
            name: "join a bridge", commands: [["ip", "link", "add", "br0", "type", "bridge"]],
            act: [.patch(#"{"link": {"controller": "br0"}}"#)], names: usual, isDone: link("master", "br0")),
        Operation(name: "shrink", act: [.patch(#"{"queues": 2}"#)], names: usual),
        Operation(
            name: "recreate", act: [.patch(#"{"kind": "tun"}"#, query: "&recreate=true")], names: usual,
            isDone: link("link_type", "none")),
        Operation(name: "delete", act: [Request("DELETE", "/v1/devices/web0?wait=5s")], names: bystanders),
        Operation(
            name: "apply",
            act: [
                Request(
                    "POST", "/v1/apply?wait=5s",
                    """
                    {"devices": [{"metadata": {"name": "a0"}}, {"metadata": {"name": "a1"}},
                     {"metadata": {"name": "web0"}, "spec": {"queues": 4, "link": {"mtu": 9000}}}]}
                    """)
            ], names: usual.union(["a0", "a1"]), isDone: link("mtu", "9000")),
        Operation(
            name: "prune", preparation: [Request("PUT", "/v1/devices/web1?wait=5s", "{}")],
            act: [
                Request(
                    "POST", "/v1/apply?prune=true&wait=5s",
                    """
                    {"devices": [{"metadata": {"name": "keep0"}},
                                 {"metadata": {"name": "keep1"}, "spec": {"access": "open", "multiQueue": true}}]}
                    """)
            ], names: bystanders),
        Operation(
            name: "roll back",
            preparation: [
                Request(
                    "POST", "/v1/apply?confirmWithin=1h&wait=5s",
                    """
                    {"devices": [{"metadata": {"name": "a0"}},
                     {"metadata": {"name": "web0"}, "spec": {"queues": 4, "link": {"mtu": 9000}}}]}
                    """)
            ], act: [Request("DELETE", "/v1/apply/{revision}")], names: usual, isDone: link("mtu", "1500")),
        Operation(
            name: "adopt", commands: [["ip", "tuntap", "add", "dev", "old0", "mode", "tap", "multi_queue"]],
            act: [Request("POST", "/v1/unmanaged/old0/adopt?wait=5s")], names: usual.union(["old0"])),
    ]

    /// Steps that no metric counts.
    private static let storePoints = ["write", "written", "claim", "forget", "settle"]

    @Test(arguments: operations)
    func killedBeforeEachStep(operation: Operation) async throws {
        try await inNamespace {
            let points = try Self.run(operation, killedAt: nil) + Self.storePoints
            #expect(points.count > Self.storePoints.count || operation.name == "shrink")
            for point in points {
                do {
                    _ = try Self.run(operation, killedAt: point)
                } catch {
                    throw TestFailure("\(operation.name), killed at \(point): \(error)")
                }
            }
        }
    }

    /// - Returns: The executed steps, according to the daemon's metrics.
    private static func run(_ operation: Operation, killedAt point: String?) throws -> [String] {
        defer { removeAllInterfaces() }
        return try withTemporaryDirectory { directory in
            let daemon = try Daemon(directory: directory)
            defer { daemon.kill() }
            let revision = try prepare(operation, daemon)
            let before = try bystanderState()
            let namesBefore = try names(daemon)
            _ = daemon.stop()

            let process = try daemon.launch(environment: point.map { ["TAPSTER_CRASH_AT": $0] } ?? [:])
            try eventually("ready, or ended at its start") {
                !process.isRunning || (try? daemon.send("GET", "/readyz").status) == 200
            }
            // If it was killed before the commit, it does not know the request.
            let isWritten = process.isRunning && point != "write"
            let counted = process.isRunning ? try counts(daemon) : [:]
            for request in operation.act {
                let target = request.target.replacing("{revision}", with: revision)
                _ = try? daemon.send(request.method, target, json: request.body)
            }
            var steps: [String] = []
            if point == nil {
                // Not every answer waits.
                try eventually("the desired state") { try isReached(operation.names, daemon) }
                let after = try counts(daemon)
                steps = after.filter { $0.value > counted[$0.key] ?? 0 }.map(\.key).sorted()
            } else {
                // Events are written a little after the answer.
                try? eventually("ended", within: 0.1) { !process.isRunning }
            }
            daemon.kill()
            try daemon.start()
            try check(operation, daemon, expected: isWritten ? operation.names : namesBefore, isWritten: isWritten)
            #expect(try bystanderState() == before, "\(operation.name), killed at \(point ?? "no point")")
            return steps
        }
    }

    private static func prepare(_ operation: Operation, _ daemon: Daemon) throws -> String {
        for (name, body) in [
            ("keep0", "{}"), ("keep1", #"{"spec": {"access": "open", "multiQueue": true}}"#),
            ("web0", #"{"spec": {"queues": 4}}"#),
        ] {
            let status = try daemon.send("PUT", "/v1/devices/\(name)?wait=10s", json: body).status
            guard status == 201 else { throw TestFailure("\(name) was not made: \(status)") }
        }
        for command in operation.commands { try TestSupport.run(command[0], Array(command.dropFirst())) }
        var revision = ""
        for request in operation.preparation {
            let answer = try daemon.send(request.method, request.target, json: request.body)
            guard answer.status < 202 else { throw TestFailure("preparation: \(answer.text)") }
            revision = answer["revision"] as? String ?? revision
        }
        return revision
    }

    /// Checks that the desired state is reached, and that the kernel has exactly these devices.
    private static func check(_ operation: Operation, _ daemon: Daemon, expected: Set<String>, isWritten: Bool) throws {
        try eventually("the desired state", within: 5) { try isReached(expected, daemon) }
        let others: Set<String> = ["lo", "br0"]
        let unclaimed: Set<String> = isWritten ? [] : ["old0"]
        #expect(try Set(links().keys).subtracting(others).subtracting(unclaimed) == expected.subtracting(unclaimed))
        if isWritten { #expect(operation.isDone(try links()["web0"])) }
    }

    private static func isReached(_ expected: Set<String>, _ daemon: Daemon) throws -> Bool {
        let items = try daemon.send("GET", "/v1/devices")["items"] as? [[String: Any]] ?? []
        let isReady = items.allSatisfy { ($0["status"] as? [String: Any])?["phase"] as? String == "Ready" }
        return try isReady && names(daemon) == expected
    }

    private static func names(_ daemon: Daemon) throws -> Set<String> {
        let items = try daemon.send("GET", "/v1/devices")["items"] as? [[String: Any]] ?? []
        return Set(items.compactMap { ($0["metadata"] as? [String: Any])?["name"] as? String })
    }

    private static func links() throws -> [String: [String: Any]] {
        let text = try TestSupport.run("ip", "-d", "-j", "link")
        let links = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]] ?? []
        return Dictionary(links.map { ($0["ifname"] as? String ?? "", $0) }) { first, _ in first }
    }

    /// Effects on a bystander: a new interface index, or a changed carrier.
    static func bystanderState() throws -> [String] {
        let names = bystanders.sorted()
        let files = names.flatMap { name in
            ["ifindex", "carrier_changes"].map { "/sys/class/net/\(name)/\($0)" }
        }
        let text = try TestSupport.run(
            "unshare", "--mount", "sh", "-c", "mount -t sysfs none /sys && cat " + files.joined(separator: " "))
        return text.split(separator: "\n").map { String($0) }
    }

    private static func counts(_ daemon: Daemon) throws -> [String: Int] {
        let lines = try daemon.metrics().split(separator: "\n")
        let prefix = "tapster_kernel_operations_total{operation=\""
        return lines.filter { $0.hasPrefix(prefix) }.reduce(into: [:]) { counts, line in
            let parts = line.dropFirst(prefix.count).split(separator: "\"")
            counts[String(parts[0])] = Int(parts[1].dropFirst(2))
        }
    }

    private static func removeAllInterfaces() {
        for name in (try? links().keys.filter { $0 != "lo" }) ?? [] {
            _ = try? TestSupport.run("ip", "link", "del", name)
        }
    }
}
