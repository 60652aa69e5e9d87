import Foundation
import Glibc
import TestSupport
import Testing

/// `/readyz` of the real daemon without what it needs to manage interfaces.
@Suite(.privileged) struct MissingAbilityTests {
    /// Starts a daemon by a command that takes something from it, and waits until it answers.
    private func withDaemon(
        by command: [String], _ body: @escaping @Sendable (Daemon, ChildProcess) throws -> Void
    ) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = Daemon(stoppedIn: directory)
                let words = [Daemon.binary, "serve", "--database", daemon.database, "--socket", daemon.socket]
                let arguments = Array(command.dropFirst()) + words + ["--socket-group", "0"]
                let process = try ChildProcess(command[0], arguments, output: directory + "/log")
                defer {
                    process.signal(SIGKILL)
                    process.wait()
                }
                try eventually("it answers", within: 30) {
                    guard process.isRunning else { throw TestFailure("it ended: \(daemon.log)") }
                    return (try? daemon.send("GET", "/livez").status) == 200
                }
                try body(daemon, process)
            }
        }
    }

    private static func expectNotReady(_ daemon: Daemon, _ reason: String) throws {
        var text = ""
        do {
            try eventually("it is not ready") {
                let answer = try daemon.send("GET", "/readyz")
                text = answer.text
                return answer.status == 503 && text.contains("[+] reconciled")
            }
        } catch {
            throw TestFailure("\(error): \(text)")
        }
        #expect(text.contains("[-] privileges") && text.contains(reason), "\(text)")
    }

    /// As root of a user namespace of its own, the daemon has the capability, but not over its network namespace.
    @Test(arguments: [
        ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-all", "--"],
        ["unshare", "--user", "--map-root-user", "--"],
    ])
    func withoutTheCapabilityItIsNotReady(command: [String]) async throws {
        try await withDaemon(by: command) { daemon, _ in
            try Self.expectNotReady(daemon, "CAP_NET_ADMIN")
            _ = try daemon.send("PUT", "/v1/devices/web0?wait=100ms", json: "{}")
            try Self.expectNotReady(daemon, "CAP_NET_ADMIN")
            let ready = try daemon.metric("tapster_ready")
            #expect(ready == "0")
        }
    }

    /// The daemon has a `/dev/net` of its own.
    @Test func withoutTheTunDeviceItIsNotReady() async throws {
        let script = "mount -t tmpfs none /dev/net && mknod /dev/net/tun c 10 200 && exec \"$0\" \"$@\""
        try await withDaemon(by: ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]) {
            daemon, process in
            func inside(_ words: [String]) throws {
                try run("nsenter", ["--mount", "--target", "\(process.identifier)"] + words)
            }
            try eventually("it is ready") { try daemon.send("GET", "/readyz").status == 200 }
            for replacement in [["true"], ["touch", "/dev/net/tun"], ["mkdir", "/dev/net/tun"]] {
                try inside(["rm", "-rf", "/dev/net/tun"])
                try inside(replacement)
                #expect(try daemon.send("POST", "/v1/reconcile?wait=10s").status == 200)
                try Self.expectNotReady(daemon, "open_tun")
            }
            try inside(["rm", "-rf", "/dev/net/tun"])
            try inside(["mknod", "/dev/net/tun", "c", "10", "200"])
            try eventually("it is ready again", within: 20) { try daemon.send("GET", "/readyz").status == 200 }
        }
    }

    /// What the daemon refuses as an impossible name, the kernel refuses too.
    @Test func theKernelRefusesImpossibleNames() async throws {
        try await inNamespace {
            for name in ["all", "default", "br%", "a%sb", "\u{E0}"] {
                #expect(throws: (any Error).self, "\(name)") { try run("ip", "link", "add", name, "type", "bridge") }
            }
            try run("ip", "tuntap", "add", "dev", "web0", "mode", "tap")
            try run("ip", "link", "add", "br0", "type", "bridge")
            for name in ["lo", "br0"] {
                #expect(throws: (any Error).self, "\(name)") {
                    try run("ip", "link", "property", "add", "dev", "web0", "altname", name)
                }
            }
            try run("ip", "link", "property", "add", "dev", "web0", "altname", "all")
        }
    }

    @Test func aCPUThatTheHostLacksIsRefused() async throws {
        try await TestSupport.withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let target = "/v1/devices/web0/queues/0/assignment"
            #expect(
                try daemon.send("PUT", target, json: #"{"consumer": "vm", "cpus": [0, 8191]}"#).status == 422)
            #expect(try daemon.send("PUT", target, json: #"{"consumer": "vm", "cpus": [0]}"#).status == 201)
        }
    }
}
