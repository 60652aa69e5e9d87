import Foundation
import TestSupport
import Testing

/// Example programs for users.
@Suite(.privileged) struct ExampleTests {
    @Test func packetsReachThePythonConsumer() async throws {
        try await packetsReach { _ in ["/usr/bin/python3", Examples.path("consumer.py")] }
    }

    @Test func packetsReachTheConsumerInC() async throws {
        try await packetsReach { directory in [try Examples.compileConsumer(into: directory)] }
    }

    private func packetsReach(_ consumer: @escaping @Sendable (_ directory: String) throws -> [String]) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4, "link": {"addresses": ["192.0.2.1/24"]}}"#)
            let words = try consumer(daemon.directory)
            func launch(_ device: String) throws -> ChildProcess {
                try ChildProcess(
                    words[0], words.dropFirst() + [device, daemon.socket], output: daemon.directory + "/\(device).log")
            }
            func log(_ device: String) -> String {
                (try? String(contentsOfFile: daemon.directory + "/\(device).log", encoding: .utf8)) ?? ""
            }

            let process = try launch("web0")
            defer { process.signal(SIGKILL) }
            try eventually("it has the queues") {
                guard process.isRunning else { throw TestFailure("it ended with \(process.wait()): \(log("web0"))") }
                return log("web0").hasPrefix("web0: ")
            }
            // Without a reply, ARP cannot resolve the address, so a static entry is needed.
            try run("ip", "neighbour", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "web0")
            let pinger = try Pinger(to: "192.0.2.2", from: "198.51.100", every: 2)
            try eventually("packets come through each queue") {
                let log = log("web0")
                return (0..<4).allSatisfy { log.contains("queue \($0): \(Pinger.frameBytes) bytes\n") }
            }
            _ = pinger

            let leases = try daemon.send("GET", "/v1/leases")
            let lease = try #require(leases["items", "0", "id"] as? String, "\(leases.text)")
            #expect(leases["items", "0", "pid"] as? Int == Int(process.identifier), "\(leases.text)")
            #expect(try daemon.send("DELETE", "/v1/leases/\(lease)").status == 204)
            #expect(process.wait() == 0)
            #expect(log("web0").hasSuffix("the lease has ended\n"))

            // The problem's detail, not the whole document.
            #expect(try launch("web1").wait() == 1)
            #expect(log("web1").contains("web1"))
        }
    }

    @Test(.guest) func aVirtualMachineIsRun() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let user = try UnprivilegedUser(in: directory)
                // The script declares its own device.
                let configuration = directory + "/tapster.yaml"
                try "peers: {users: {\(user.identifier): operator}}\n".write(
                    toFile: configuration, atomically: true, encoding: .utf8)
                let daemon = try Daemon(
                    directory: directory, options: ["--socket-group", user.identifier, "--config", configuration])
                let script = user.directory + "/qemu-multiqueue.sh"
                try run("cp", Examples.path("qemu-multiqueue.sh"), script)
                let guest = try Guest(
                    in: user.directory, address: "192.0.2.2/24",
                    command: user.command([
                        "env", "PATH=\(user.directory):/usr/bin:/bin", "TAPSTER_SOCKET=\(daemon.socket)", script,
                    ]))
                #expect(try guest.run("ethtool -l eth0").components(separatedBy: "Combined:\t4").count == 3)
                try guest.run("ping -c 3 192.0.2.1")
                try guest.powerOff()
                try eventually("the queues are free") {
                    try daemon.send("GET", "/v1/devices/vm0")["status", "attachedQueues"] as? Int == 0
                }
            }
        }
    }
}
