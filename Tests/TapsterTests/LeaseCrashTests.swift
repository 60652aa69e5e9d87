import Foundation
import Glibc
import TestSupport
import Testing

/// The daemon ends at any point of a lease's life, and restarts with the descriptors that its supervisor has kept:
/// afterwards a lease is either complete or over.
@Suite(.privileged) struct LeaseCrashTests {
    enum Outcome { case whole, over }

    private static func withKeptDaemon(_ body: @escaping @Sendable (Daemon) throws -> Void) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = try Daemon(keptIn: directory)
                do {
                    try body(daemon)
                } catch {
                    throw TestFailure("\(error)\n\(daemon.log)")
                }
            }
        }
    }

    /// Files of the daemon and of its supervisor, without those that libraries open at unpredictable times.
    private static func openFiles(_ daemon: Daemon) -> [String] {
        let files = FileManager.default
        return [daemon.process?.identifier, daemon.server].compactMap { $0 }.flatMap { process -> [String] in
            let folder = "/proc/\(process)/fd"
            let numbers = (try? files.contentsOfDirectory(atPath: folder)) ?? []
            return numbers.compactMap { try? files.destinationOfSymbolicLink(atPath: "\(folder)/\($0)") }
                .filter { !$0.hasPrefix("anon_inode:") }
                .map { $0.hasPrefix("socket:") ? "socket" : $0.hasPrefix("pipe:") ? "pipe" : $0 }
        }.sorted()
    }

    private static func expectFiles(_ expected: [String], _ daemon: Daemon, _ when: String) throws {
        var found: [String] = []
        do {
            try eventually("no descriptor is leaked") {
                found = openFiles(daemon)
                return found.count <= expected.count
            }
        } catch {
            var more = found
            for file in expected { more.firstIndex(of: file).map { _ = more.remove(at: $0) } }
            throw TestFailure("\(error), \(when): \(more)")
        }
    }

    /// Runs `body` on a lease of queues 1 to 3, beside another lease of queue 0.
    private static func run(
        _ daemon: Daemon, crashingAt point: String, leaseFirst: Bool, expecting outcome: Outcome,
        _ body: (inout LeaseHolder?) throws -> Void
    ) throws {
        try daemon.create("web0", spec: #"{"queues": 4}"#)
        let bystander = try LeaseHolder(daemon, "web0", "queues=0")
        // The first lease opens files that stay open, such as the lease journal.
        var holder: LeaseHolder? = try LeaseHolder(daemon, "web0", "queues=1,2,3")
        holder?.close()
        holder = nil
        try daemon.waitForLeases([bystander.id])
        daemon.kill()
        try daemon.start()
        let link = try #require(try Interface("web0"))
        // The idle state.
        usleep(200_000)
        let files = openFiles(daemon)

        if leaseFirst { holder = try LeaseHolder(daemon, "web0", "queues=1,2,3") }
        try daemon.waitForNotes()
        try daemon.restart(crashingAt: point)
        let server = try #require(daemon.server)
        try body(&holder)
        try daemon.waitForRestart(after: server)
        #expect(!bystander.isOver)

        switch outcome {
        case .whole:
            let lease = try #require(holder)
            #expect(!lease.isOver)
            try daemon.waitForLeases([bystander.id, lease.id])
            #expect(lease.queues.keys.sorted() == [1, 2, 3])
            let queues = bystander.queues.merging(lease.queues) { a, _ in a }
            let frames = try SteeredFrames(to: lease.interfaceIndex, by: try #require(bystander.queues[0]))
            let reported = try daemon.order(of: "web0")
            #expect(try Interface("web0")?.attachedQueues == reported.count)
            #expect(try frames.order(of: queues, count: reported.count) == reported)
            lease.close()
        case .over:
            if let holder { try eventually("the lease is over") { holder.isOver } }
            try daemon.waitForLeases([bystander.id])
            try eventually("its queues are detached") { try Interface("web0")?.attachedQueues == 1 }
            #expect(holder?.queues.values.allSatisfy { $0.isAttached == false } != false)
        }
        holder = nil
        try daemon.waitForLeases([bystander.id])
        #expect(try daemon.order(of: "web0") == [0])
        var rest = ""
        do {
            try eventually("no queue is left") {
                let now = try Interface("web0")
                rest = "\(now?.attachedQueues ?? -1) attached, \(now?.detachedQueues ?? -1) detached"
                return now?.attachedQueues == 1 && now?.detachedQueues == 0
            }
        } catch {
            throw TestFailure("\(error): \(rest), \(openFiles(daemon))")
        }
        #expect(try Interface("web0")?.index == link.index)
        #expect(try Interface("web0")?.carrierChanges == link.carrierChanges)
        try expectFiles(files, daemon, "at \(point)")

        let other = try LeaseHolder(daemon, "web0")
        #expect(other.queues.count == 3 && other.queues.values.allSatisfy { $0.isAttached == true })
        #expect(try daemon.order(of: "web0") == [0, 1, 2, 3])
    }

    @Test(arguments: [
        ("lease_keep", Outcome.over), ("lease_send", .over), ("lease_note", .over), ("lease_noted", .whole),
    ])
    func whileALeaseBegins(point: String, outcome: Outcome) async throws {
        try await Self.withKeptDaemon { (daemon) throws in
            try Self.run(daemon, crashingAt: point, leaseFirst: false, expecting: outcome) { holder in
                holder = try? LeaseHolder(daemon, "web0", "queues=1,2,3")
                // The client gets everything, or nothing that it could mistake for a lease.
                #expect((holder != nil) == ["lease_note", "lease_noted"].contains(point))
            }
        }
    }

    @Test func whileALeaseEnds() async throws {
        try await Self.withKeptDaemon { (daemon) throws in
            try Self.run(daemon, crashingAt: "lease_end", leaseFirst: true, expecting: .over) { holder in
                holder?.close()
            }
        }
    }

    @Test func whileALeaseIsRevoked() async throws {
        try await Self.withKeptDaemon { (daemon) throws in
            try Self.run(daemon, crashingAt: "lease_end", leaseFirst: true, expecting: .whole) { holder in
                // The revocation was not acknowledged, and the lease is not over.
                let answer = try? daemon.send("DELETE", "/v1/leases/\(holder?.id ?? "")")
                #expect(answer == nil)
            }
        }
    }

    /// The setting is kept, whether or not it reached the kernel.
    @Test(arguments: [false, true])
    func whileAQueueIsSwitched(isEnabled: Bool) async throws {
        try await Self.withKeptDaemon { (daemon) throws in
            try Self.run(daemon, crashingAt: "queue_switch", leaseFirst: true, expecting: .whole) { holder in
                if isEnabled {
                    // It is disabled by the consumer, so that this crash does not belong to another switch.
                    holder?.queues[2]?.detach()
                    try eventually("it is noticed") { try daemon.queues(of: "web0")[2].isAttached == false }
                }
                #expect((try? daemon.set(2, of: "web0", enabled: isEnabled, force: true)) == nil)
                try eventually("it is back", within: 30) { (try? daemon.leases().count) == 2 }
                let queue = try daemon.queues(of: "web0")[2]
                #expect(queue.isEnabled == isEnabled)
                // A client without an answer repeats its request.
                let answer = try daemon.set(2, of: "web0", enabled: isEnabled, force: true)
                #expect(answer.status == 200 && answer["attached"] as? Bool == isEnabled, "\(answer.text)")
                #expect(holder?.queues[2]?.isAttached == isEnabled)
                try daemon.set(2, of: "web0", enabled: true, force: true)
            }
        }
    }

    // MARK: kill -9

    @Test func everythingIsAsItWasAfterAKill() async throws {
        try await Self.withKeptDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 8}"#)
            try daemon.create("on0", spec: #"{"queues": 2, "link": {"carrier": "on"}}"#)
            try daemon.create("one0", spec: #"{"multiQueue": false}"#)
            let holders = [
                try LeaseHolder(daemon, "web0", "queues=0,1,2"), try LeaseHolder(daemon, "web0", "queues=4,6,7"),
                try LeaseHolder(daemon, "web0"), try LeaseHolder(daemon, "on0", "queues=1"),
                try LeaseHolder(daemon, "one0"),
            ]
            let queues = holders[0..<3].reduce(into: [:]) { $0.merge($1.queues) { a, _ in a } }
            let frames = try SteeredFrames(to: holders[0].interfaceIndex, by: try #require(queues[0]))
            let names = ["web0", "on0", "one0"]
            func state() throws -> [String] {
                try names.map { name in
                    let link = try Interface(name)
                    return "\(name) \(link?.index ?? 0) \(link?.carrierChanges ?? 0) \(try daemon.queues(of: name))"
                }
            }
            // Both the API and the consumers change the kernel's order.
            try daemon.set(6, of: "web0", enabled: false, force: true)
            try daemon.set(1, of: "web0", enabled: false, force: true)
            holders[1].queues[4]?.detach()
            try eventually("it is noticed") { try daemon.queues(of: "web0")[4].isAttached == false }
            holders[1].queues[4]?.attach()
            try eventually("it is noticed") { try daemon.queues(of: "web0")[4].isAttached }
            try daemon.set(2, of: "web0", enabled: false, force: true)
            try daemon.set(2, of: "web0", enabled: true, force: true)
            holders[2].queues[3]?.detach()
            try eventually("it is noticed") { try daemon.queues(of: "web0")[3].isAttached == false }
            let before = try state()
            let order = try daemon.order(of: "web0")
            #expect(order.count == 5 && order != order.sorted())
            for _ in 0..<3 {
                daemon.kill()
                // Packets arrive while the daemon is down.
                #expect(try frames.order(of: queues, count: 5) == order)
                try daemon.start()
                #expect(try state() == before)
                #expect(try frames.order(of: queues, count: 5) == order)
                #expect(holders.allSatisfy { !$0.isOver })
                #expect(try daemon.leases() == Set(holders.map(\.id)))
            }
            // All operations still work.
            try daemon.set(1, of: "web0", enabled: true, force: true)
            try QueueSwitchTests.checkOrder(daemon, "web0", queues, frames)
            holders[0].close()
            try daemon.waitForLeases(Set(holders.dropFirst().map(\.id)))
            try QueueSwitchTests.checkOrder(daemon, "web0", queues, frames)
            #expect(try daemon.send("DELETE", "/v1/leases/\(holders[1].id)").status == 204)
            try eventually("the lease is over") { holders[1].isOver }
            try QueueSwitchTests.checkOrder(daemon, "web0", queues, frames)
        }
    }

    @Test func packetsGoOnWhileItIsKilled() async throws {
        try await Self.withKeptDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try LeaseHolder(daemon, "web0")
            let before = try #require(try Interface("web0"))
            let frames = try SteeredFrames(to: holder.interfaceIndex, by: try #require(holder.queues[0]))
            let steady = SteadyFrames(frames, to: (0..<4).compactMap { holder.queues[$0] }, every: 5)
            for _ in 0..<3 {
                let received = steady.received
                try eventually("packets come") { steady.received > received + 20 }
                daemon.kill()
                try daemon.start()
            }
            let result = try steady.finish()
            #expect(result.lost == [], "of \(result.sent)")
            #expect(!holder.isOver)
            let after = try #require(try Interface("web0"))
            #expect(after.index == before.index)
            #expect(after.carrierChanges == before.carrierChanges)
        }
    }

    /// While the daemon is down, leases end, queues are toggled and an interface is deleted.
    @Test func changesDuringTheRestartAreSeen() async throws {
        try await Self.withKeptDaemon { (daemon) throws in
            for name in ["web0", "web1"] { try daemon.create(name, spec: #"{"queues": 4}"#) }
            let stays = try LeaseHolder(daemon, "web0", "queues=1,2")
            let ends = try LeaseHolder(daemon, "web0")
            let loses = try LeaseHolder(daemon, "web1")
            #expect(try daemon.order(of: "web0") == [1, 2, 0, 3])
            try daemon.waitForNotes()
            daemon.kill()
            ends.close()
            stays.queues[2]?.detach()
            try TestSupport.run("ip", "link", "del", "web1")
            try daemon.start()
            try daemon.waitForLeases([stays.id])
            try eventually("the lease is over") { loses.isOver }
            #expect(ends.queues.values.allSatisfy { $0.isAttached == false })
            #expect(try daemon.order(of: "web0") == [1])
            stays.queues[2]?.attach()
            try eventually("it is noticed") { try daemon.order(of: "web0") == [1, 2] }
            let frames = try SteeredFrames(to: stays.interfaceIndex, by: try #require(stays.queues[1]))
            try QueueSwitchTests.checkOrder(daemon, "web0", stays.queues, frames)
            try daemon.waitUntilReady("web1")
            _ = try LeaseHolder(daemon, "web1")
        }
    }
}
