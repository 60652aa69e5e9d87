import Foundation
import Glibc
import TestSupport
import Testing

/// The CPUs of an assignment are set at the queue's present index in the kernel.
@Suite(.privileged) struct ReceiveCPUTests {
    /// By kernel index, as the kernel shows them: `1`, `2`, and `0` for none.
    private static func cpus(of name: String, in namespace: String? = nil) throws -> [Int: String] {
        // A queue may disappear between the shell's globbing and grep's read.
        let script =
            "mount -t sysfs none /sys && cd /sys/class/net/\(name)/queues && { grep -sH . rx-*/rps_cpus; true; }"
        let text = try run(in: namespace, ["unshare", "--mount", "sh", "-c", script])
        return text.split(separator: "\n").reduce(into: [:]) { cpus, line in
            let parts = line.dropFirst(3).split(separator: ":")
            guard let index = Int(parts[0].prefix { $0 != "/" }) else { return }
            let digits = parts[1].filter { $0 != "," }.drop { $0 == "0" }
            cpus[index] = digits.isEmpty ? "0" : String(digits)
        }
    }

    private static func expect(
        _ expected: [String], of name: String, in namespace: String? = nil, _ what: String = ""
    ) throws {
        var found: [Int: String] = [:]
        do {
            try eventually("the CPUs") {
                found = try cpus(of: name, in: namespace)
                return expected.enumerated().allSatisfy { found[$0] ?? "0" == $1 }
            }
        } catch {
            throw TestFailure("\(error) \(what): \(expected) were expected, but there are \(found)")
        }
    }

    private static func assign(_ daemon: Daemon, _ queue: Int, _ cpus: String, of name: String = "web0") throws {
        let answer = try daemon.send(
            "PUT", "/v1/devices/\(name)/queues/\(queue)/assignment", json: #"{"consumer": "vm", "cpus": \#(cpus)}"#)
        #expect(answer.status < 300, "\(answer.text)")
    }

    @Test func theyMoveWithTheQueue() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            for (queue, cpus) in ["[0]", "[1]", "[0, 1]", "[]"].enumerated() {
                try Self.assign(daemon, queue, cpus)
            }
            // The queues are not open yet.
            #expect(try Self.cpus(of: "web0").values.allSatisfy { $0 == "0" })
            let holder = try LeaseHolder(daemon, "web0", "consumer=vm")
            try Self.expect(["1", "2", "3", "0"], of: "web0")
            try daemon.set(0, of: "web0", enabled: false, force: true)
            try Self.expect(["0", "2", "3", "0"], of: "web0", "queue 3 is in the place of 0")
            try daemon.set(0, of: "web0", enabled: true, force: true)
            try Self.expect(["0", "2", "3", "1"], of: "web0")
            // A consumer may toggle a queue, too.
            holder.queues[1]?.detach()
            try Self.expect(["0", "1", "3", "0"], of: "web0")
            holder.queues[1]?.attach()
            try Self.expect(["0", "1", "3", "2"], of: "web0")

            // While it is leased.
            try Self.assign(daemon, 3, "[1]")
            try Self.expect(["2", "1", "3", "2"], of: "web0")
            try Self.assign(daemon, 2, "[]")
            try Self.expect(["2", "1", "0", "2"], of: "web0")
            #expect(try daemon.send("DELETE", "/v1/devices/web0/queues/0/assignment").status == 204)
            try Self.expect(["2", "0", "0", "2"], of: "web0")

            holder.close()
            try daemon.waitForLeases([])
            try Self.expect(["0", "0", "0", "0"], of: "web0", "after the lease")
        }
    }

    @Test func twoLeasesKeepTheirOwn() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            try Self.assign(daemon, 1, "[0]")
            try Self.assign(daemon, 3, "[1]")
            let others = try LeaseHolder(daemon, "web0")
            let holder = try LeaseHolder(daemon, "web0", "consumer=vm")
            try Self.expect(["0", "0", "1", "2"], of: "web0")
            others.close()
            others.queues = [:]
            try Self.expect(["1", "2", "0", "0"], of: "web0", "they have moved")
            #expect(try daemon.order(of: "web0") == [1, 3])
            holder.close()
            try daemon.waitForLeases([])
            try Self.expect(["0", "0", "0", "0"], of: "web0")
        }
    }

    @Test func inAnotherNamespace() async throws {
        try await withDaemon { (daemon) throws in
            let namespace = NamedNamespace()
            try namespace.make()
            try daemon.create("far0", spec: #"{"queues": 2, "networkNamespace": "\#(namespace.location)"}"#)
            try Self.assign(daemon, 1, "[1]", of: "far0")
            try Self.assign(daemon, 0, "[0]", of: "far0")
            let holder = try LeaseHolder(daemon, "far0", "consumer=vm")
            try Self.expect(["1", "2"], of: "far0", in: namespace.path)
            holder.close()
            try Self.expect(["0", "0"], of: "far0", in: namespace.path)
        }
    }

    /// Settings from before a kill are corrected after the restart, and nothing is left.
    @Test func aRestartKeepsThem() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = try Daemon(keptIn: directory)
                try daemon.create("web0", spec: #"{"queues": 4}"#)
                for (queue, cpus) in ["[0]", "[1]", "[0, 1]", "[]"].enumerated() {
                    try Self.assign(daemon, queue, cpus)
                }
                let holder = try LeaseHolder(daemon, "web0", "consumer=vm")
                try Self.expect(["1", "2", "3", "0"], of: "web0")
                try daemon.waitForNotes()
                daemon.kill()
                holder.queues[0]?.detach()
                try daemon.start()
                try Self.expect(["0", "2", "3", "0"], of: "web0")
                daemon.kill()
                holder.close()
                try daemon.start()
                try daemon.waitForLeases([])
                try Self.expect(["0", "0", "0", "0"], of: "web0")
            }
        }
    }

    /// While the order is unknown, no CPUs are set, so that none apply to another queue's packets.
    @Test func noCPUsWhereTheOrderIsUnknown() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            for queue in 0..<4 { try Self.assign(daemon, queue, queue == 3 ? "[]" : "[1]") }
            let gone = try LeaseHolder(daemon, "web0", "consumer=vm&queues=3")
            let holder = try LeaseHolder(daemon, "web0", "consumer=vm")
            try Self.expect(["0", "2", "2", "2"], of: "web0")
            _ = try daemon.send("DELETE", "/v1/leases/\(gone.id)")
            try Self.expect(["2", "2", "2", "0"], of: "web0")
            gone.queues[3]?.attach()
            try Self.expect(["0", "0", "0", "0"], of: "web0", "the order is unknown")
            _ = holder
        }
    }
}
