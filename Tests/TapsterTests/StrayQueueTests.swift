import Foundation
import Glibc
import TestSupport
import Testing

/// Queues that other processes have open: they are told, and get no packets of the next lease unnoticed.
@Suite(.privileged) struct StrayQueueTests {
    private static func strays(_ daemon: Daemon, _ name: String = "web0") throws -> [Int]? {
        let status = try daemon.send("GET", "/v1/devices/\(name)")["status"] as? [String: Any]
        let strays = status?["strayQueues"] as? [String: Any]
        return strays.map { [$0["attached"] as? Int ?? -1, $0["detached"] as? Int ?? -1] }
    }

    private static func holders(_ daemon: Daemon, _ name: String = "web0") throws -> [[String: Any]]? {
        let status = try daemon.send("GET", "/v1/devices/\(name)")["status"] as? [String: Any]
        return (status?["strayQueues"] as? [String: Any])?["holders"] as? [[String: Any]]
    }

    private static func expectStrays(_ expected: [Int]?, _ daemon: Daemon, _ name: String = "web0") throws {
        var last: [Int]?
        do {
            try eventually("stray queues") {
                last = try strays(daemon, name)
                return last == expected
            }
        } catch {
            throw TestFailure("\(error): \(String(describing: expected)) expected, \(String(describing: last)) found")
        }
    }

    private static func refusal(_ daemon: Daemon, _ name: String = "web0") throws -> LeaseHolder.Refusal? {
        do {
            _ = try LeaseHolder(daemon, name)
            return nil
        } catch let refusal as LeaseHolder.Refusal {
            return refusal
        }
    }

    /// It needs no privilege for that, and would get the packets of the next lease.
    @Test func aRevokedConsumerThatAttachesAgainIsTold() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let revoked = try LeaseHolder(daemon, "web0", "queues=0")
            #expect(try daemon.send("DELETE", "/v1/leases/\(revoked.id)").status == 204)
            // What it still holds gets no packets, and does not refuse a lease.
            try Self.expectStrays([0, 1], daemon)
            #expect(try daemon.phase("web0") == "Ready")
            #expect(try daemon.condition("StrayQueues", of: "web0")?.holds == true)
            try LeaseHolder(daemon, "web0").close()
            try daemon.waitForLeases([])

            #expect(revoked.queues[0]?.attach() == true)
            let refused = try #require(try Self.refusal(daemon))
            #expect(refused.status == 409 && refused.code == "STRAY_QUEUES", "\(refused)")
            #expect(refused.text.contains("pid \(getpid())") && refused.text.contains("force=true"), "\(refused)")
            try Self.expectStrays([1, 0], daemon)
            try daemon.waitForReason("StrayQueues", of: "web0")
            #expect(try daemon.phase("web0") == "Degraded")
            let metric = #"tapster_device_stray_queues{device="web0",state="attached"}"#
            #expect(try daemon.metric(metric) == "1")

            let forced = try LeaseHolder(daemon, "web0", "force=true")
            #expect(forced.queues.count == 2)
            revoked.queues = [:]
            try Self.expectStrays(nil, daemon)
            try daemon.waitUntilReady("web0")
            #expect(try daemon.condition("StrayQueues", of: "web0")?.holds == false)
            try daemon.waitForHistory("StrayQueuesGone", of: "web0")
            // Detached ones, and that they are attached.
            #expect(try daemon.events(of: "web0").filter { $0.reason == "StrayQueues" }.count == 2)
            #expect(try daemon.metric(metric) == "0")
        }
    }

    /// As root can, whatever the owner is; also of a device that is down, of which the kernel reports no attach.
    /// The name is used by no other test, since the holders of interfaces of one name in all namespaces are listed.
    @Test(arguments: [true, false])
    func aProcessThatOpensABrokeredDeviceByNameIsTold(isUp: Bool) async throws {
        try await withDaemon { (daemon) throws in
            let name = "stray\(isUp ? 1 : 0)"
            try daemon.create(name, spec: #"{"queues": 4, "link": {"up": \#(isUp)}}"#)
            let output = daemon.directory + "/stranger"
            let stranger = try ChildProcess(
                "/usr/bin/python3",
                [
                    "-c",
                    """
                    import fcntl, struct, time
                    queues = [open("/dev/net/tun", "r+b", buffering=0) for _ in range(2)]
                    # IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE, IFF_VNET_HDR
                    for queue in queues: fcntl.ioctl(queue, 0x400454CA, struct.pack("16sH22x", b"\(name)", 0x5102))
                    print("open", flush=True)
                    time.sleep(1000)
                    """,
                ], output: output)
            defer { stranger.signal(SIGKILL) }
            try eventually("it has the queues") {
                (try? String(contentsOfFile: output, encoding: .utf8))?.contains("open") == true
            }
            #expect(try Self.refusal(daemon, name)?.code == "STRAY_QUEUES")
            let lessee = try LeaseHolder(daemon, name, "force=true")
            try Self.expectStrays([2, 0], daemon, name)
            let holder = try #require(try Self.holders(daemon, name)?.first)
            #expect(holder["pid"] as? Int == Int(stranger.identifier))
            #expect(holder["uid"] as? Int == 0)
            #expect((holder["command"] as? String)?.hasPrefix("python3") == true)
            #expect(holder["descriptors"] as? Int == 2)
            #expect(try Self.holders(daemon, name)?.count == 1, "the lessee is a stranger too")
            try daemon.waitForHistory("StrayQueues", of: name)
            stranger.signal(SIGKILL)
            stranger.wait()
            try Self.expectStrays(nil, daemon, name)
            try daemon.waitUntilReady(name)
            _ = lessee
        }
    }

    @Test func moreOpenersThanAnOpenDeviceHasQueuesAreTold() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"access": "open", "owner": 0, "queues": 2}"#)
            var openers = try (0..<2).map { _ in try Consumer("web0") }
            openers[1].detach()
            try daemon.waitUntilReady("web0")
            openers += try (0..<4).map { _ in try Consumer("web0") }
            try Self.expectStrays([3, 1], daemon)
            #expect(try daemon.condition("Ready", of: "web0")?.reason == "StrayQueues")
            openers[1].attach()
            try Self.expectStrays([4, 0], daemon)
            openers = Array(openers.prefix(2))
            try Self.expectStrays(nil, daemon)
            try daemon.waitUntilReady("web0")
        }
    }

    /// Without a supervisor, the consumers of a former daemon keep their queues, and have no lease.
    @Test func aRestartedDaemonTellsOfTheConsumersOfItsPredecessor() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try LeaseHolder(daemon, "web0", "queues=0,1")
            daemon.kill()
            try daemon.start()
            #expect(try daemon.leases() == [])
            #expect(try Self.refusal(daemon)?.code == "STRAY_QUEUES")
            try Self.expectStrays([2, 0], daemon)
            try daemon.waitForHistory("StrayQueues", of: "web0")
            holder.queues = [:]
            try Self.expectStrays(nil, daemon)
            #expect(try Self.refusal(daemon) == nil)
        }
    }

    /// A former consumer that has made itself the owner and opened more queues than it had leased.
    @Test func queuesThatAConsumerOpensAsOwnerAreTold() async throws {
        try await withDaemon { (daemon) throws in
            let tenant: UInt32 = 64_102
            try daemon.create("web0", spec: #"{"queues": 2, "owner": \#(tenant)}"#)
            let holder = try LeaseHolder(daemon, "web0", "queues=0")
            holder.queues[0]?.setOwner(tenant)
            // As root, which it would not need to win the race.
            let more = try (0..<3).map { _ in try Consumer("web0") }
            try Self.expectStrays([3, 0], daemon)
            holder.close()
            holder.queues = [:]
            try daemon.waitForLeases([])
            try Self.expectStrays([3, 0], daemon)
            #expect(try Interface("web0")?.tun("user") == "root")
            _ = more
        }
    }

    /// Leases that come and go, and their copies, are no strays.
    @Test func ordinaryLeasesAreNoStrays() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4, "link": {"carrier": "on"}}"#)
            let end = ContinuousClock.now + .seconds(3)
            while ContinuousClock.now < end {
                let holder = try LeaseHolder(daemon, "web0")
                holder.queues[1]?.detach()
                holder.queues[1]?.attach()
                holder.queues[2]?.detach()
                #expect(try Self.strays(daemon) == nil)
                holder.close()
                holder.queues = [:]
                try daemon.waitForLeases([])
            }
            #expect(try daemon.events(of: "web0").allSatisfy { $0.reason != "StrayQueues" })
        }
    }

    /// The descriptors that it holds are useless then, and it can attach none of them again.
    @Test(arguments: ["repair", "report"])
    func aRevocationThatRecreatesTakesTheQueues(policy: String) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2, "driftPolicy": "\#(policy)"}"#)
            let before = try #require(try Interface("web0"))
            let revoked = try LeaseHolder(daemon, "web0", "queues=0")
            let other = try LeaseHolder(daemon, "web0", "queues=1")
            // The other lease is not ended without force, nor the first.
            let refused = try daemon.send("DELETE", "/v1/leases/\(revoked.id)?recreate=true")
            #expect(refused.status == 409 && refused["code"] as? String == "DEVICE_LEASED", "\(refused.text)")
            #expect(try daemon.leases() == [revoked.id, other.id])
            #expect(try Interface("web0")?.index == before.index)

            #expect(try daemon.send("DELETE", "/v1/leases/\(revoked.id)?recreate=true&force=true").status == 204)
            #expect(revoked.queues[0]?.isAttached == nil && revoked.queues[0]?.attach() == false)
            #expect(other.queues[1]?.isAttached == nil && other.queues[1]?.attach() == false)
            #expect(revoked.isOver && other.isOver)
            try daemon.waitUntilReady("web0")
            let after = try #require(try Interface("web0"))
            #expect(after.index != before.index && after.macAddress == before.macAddress)
            let successor = try LeaseHolder(daemon, "web0")
            #expect(successor.queues.count == 2)
            #expect(try Self.strays(daemon) == nil)
            try daemon.waitForHistory("Recreated", of: "web0")
            let reasons = try daemon.events(of: "web0").map(\.reason)
            #expect(!reasons.contains("DriftRepaired") && !reasons.contains("DriftFound"))
            #expect(try daemon.send("DELETE", "/v1/leases/\(revoked.id)?recreate=true").status == 404)
        }
    }

    /// Without a lease to revoke, a write of the device does it.
    @Test func recreateReplacesAnInterfaceWithAttachedStrays() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let index = try Interface("web0")?.index
            let stray = try Consumer("web0")
            try Self.expectStrays([1, 0], daemon)
            #expect(try daemon.patch("web0", spec: "{}", recreate: true).status == 200)
            #expect(try Interface("web0")?.index != index)
            #expect(stray.isAttached == nil)
            try Self.expectStrays(nil, daemon)
            // It replaces it once.
            let replaced = try Interface("web0")?.index
            let next = try Consumer("web0")
            try Self.expectStrays([1, 0], daemon)
            #expect(try Interface("web0")?.index == replaced)
            _ = next
        }
    }

    @Test func aStopSaysHowManyLeasesEnd() async throws {
        try await withDaemon { (daemon) throws in
            for name in ["web0", "web1"] { try daemon.create(name, spec: #"{"queues": 2}"#) }
            let holders = [
                try LeaseHolder(daemon, "web0", "queues=0"), try LeaseHolder(daemon, "web0", "queues=1"),
                try LeaseHolder(daemon, "web1"),
            ]
            #expect(daemon.stop() == 0)
            let line = daemon.log.split(separator: "\n").first { $0.contains("leases end") }
            #expect(line?.contains("3") == true && line?.contains("web0,web1") == true, "\(daemon.log)")
            try daemon.start()
            try Self.expectStrays([2, 0], daemon)
            try Self.expectStrays([2, 0], daemon, "web1")
            _ = holders
        }
    }
}
