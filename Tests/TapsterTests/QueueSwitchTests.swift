import Foundation
import TestSupport
import Testing

/// Queues that are attached and detached while a process reads them.
@Suite(.privileged) struct QueueSwitchTests {
    /// Checks that frames to each kernel index arrive at the queue that the API reports for it, and nowhere else.
    static func checkOrder(
        _ daemon: Daemon, _ name: String, _ queues: [Int: Consumer], _ frames: SteeredFrames
    ) throws {
        let reported = try daemon.order(of: name)
        #expect(reported.count == (try Interface(name)?.attachedQueues), "\(reported)")
        #expect(try frames.order(of: queues, count: reported.count) == reported)
    }

    @Test func aDisabledQueueGetsNothingUntilItIsEnabled() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try LeaseHolder(daemon, "web0")
            #expect(holder.lines.count == 1 && holder.lines[0].queues == [0, 1, 2, 3])
            let frames = try SteeredFrames(to: holder.interfaceIndex, by: try #require(holder.queues[0]))
            var model = [0, 1, 2, 3]
            try Self.checkOrder(daemon, "web0", holder.queues, frames)
            for (queue, isEnabled) in [
                (1, false), (1, true), (0, false), (3, false), (2, false), (2, true), (0, true), (0, true), (3, true),
            ] {
                let answer = try daemon.set(queue, of: "web0", enabled: isEnabled, force: true)
                #expect(answer.status == 200, "\(answer.text)")
                if !isEnabled, let place = model.firstIndex(of: queue) {
                    model[place] = model[model.count - 1]
                    model.removeLast()
                } else if isEnabled, !model.contains(queue) {
                    model.append(queue)
                }
                // The answer already has the new state.
                #expect(answer["enabled"] as? Bool == isEnabled && answer["attached"] as? Bool == isEnabled)
                #expect(answer["kernelIndex"] as? Int == model.firstIndex(of: queue))
                #expect(try daemon.order(of: "web0") == model)
                try Self.checkOrder(daemon, "web0", holder.queues, frames)
                #expect(holder.queues[queue]?.isAttached == isEnabled)
            }
            #expect(!holder.isOver)
        }
    }

    /// A consumer takes each queue that it gets for attached, and QEMU aborts if one is not.
    @Test func aDisabledQueueIsNotLeased() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            #expect(try daemon.set(1, of: "web0", enabled: false).status == 200)
            #expect(try daemon.set(2, of: "web0", enabled: false).status == 200)
            func refusal(_ query: String) throws -> LeaseHolder.Refusal? {
                do {
                    _ = try LeaseHolder(daemon, "web0", query)
                    return nil
                } catch let refusal as LeaseHolder.Refusal {
                    return refusal
                }
            }
            for query in ["queues=1", "queues=0,1", "queues=2,3"] {
                let refusal = try refusal(query)
                #expect(refusal?.status == 409 && refusal?.code == "QUEUE_DISABLED", "\(query)")
            }
            let holder = try LeaseHolder(daemon, "web0")
            #expect(holder.lines[0].queues == [0, 3])
            #expect(holder.queues.values.allSatisfy { $0.isAttached == true })
            let frames = try SteeredFrames(to: holder.interfaceIndex, by: try #require(holder.queues[0]))
            let disabled = QueueState(enabled: false, at: nil, lease: nil)
            try daemon.waitForQueues(
                [QueueState(at: 0, lease: holder.id), disabled, disabled, QueueState(at: 1, lease: holder.id)],
                of: "web0")
            try Self.checkOrder(daemon, "web0", holder.queues, frames)
            #expect(try Interface("web0")?.detachedQueues == 0)
            // Only disabled ones are left.
            let none = try #require(try refusal(""))
            #expect(none.code == "QUEUE_DISABLED" && none.text.contains("queue 1"), "\(none)")
            #expect(try daemon.set(2, of: "web0", enabled: true).status == 200)
            let other = try LeaseHolder(daemon, "web0")
            #expect(other.lines[0].queues == [2])
            #expect(try daemon.order(of: "web0") == [0, 3, 2])
            // Queues that are assigned to a consumer are not different.
            holder.close()
            try daemon.waitForLeases([other.id])
            let target = "/v1/devices/web0/queues/0/assignment"
            #expect(try daemon.send("PUT", target, json: #"{"consumer": "vm"}"#).status == 201)
            #expect(try daemon.set(0, of: "web0", enabled: false).status == 200)
            #expect(try refusal("consumer=vm")?.code == "QUEUE_DISABLED")
        }
    }

    /// QEMU asserts that the kernel accepts each switch of its own, and aborts if another program was faster.
    @Test func aLeasedQueueIsSwitchedOnlyByForce() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try LeaseHolder(daemon, "web0", "queues=0,1,2")
            let leased = QueueState(at: 1, lease: holder.id)
            let refusal = try daemon.set(1, of: "web0", enabled: false)
            #expect(refusal.status == 409 && refusal["code"] as? String == "QUEUE_LEASED", "\(refusal.text)")
            let detail = refusal["detail"] as? String ?? ""
            #expect(detail.contains("QEMU") && detail.contains("force=true") && detail.contains(holder.id), "\(detail)")
            #expect(try daemon.queues(of: "web0")[1] == leased)
            #expect(holder.queues[1]?.detach() == true)
            // A repeated setting is no switch, even if the consumer has made another one.
            try eventually("it is noticed") { try daemon.queues(of: "web0")[1].isAttached == false }
            #expect(try daemon.set(1, of: "web0", enabled: true).status == 200)
            #expect(holder.queues[1]?.isAttached == false)
            #expect(holder.queues[1]?.attach() == true)
            // Queues that are not leased can be switched.
            #expect(try daemon.set(3, of: "web0", enabled: false)["enabled"] as? Bool == false)
            #expect(try daemon.set(3, of: "web0", enabled: true)["enabled"] as? Bool == true)
            #expect(try daemon.set(2, of: "web0", enabled: false, force: true)["attached"] as? Bool == false)
            #expect(holder.queues[2]?.isAttached == false)
            // Nor is it switched on without force.
            #expect(try daemon.set(2, of: "web0", enabled: true)["code"] as? String == "QUEUE_LEASED")
            #expect(holder.queues[2]?.isAttached == false)
            holder.close()
            try daemon.waitForLeases([])
            #expect(try daemon.set(2, of: "web0", enabled: true).status == 200)
        }
    }

    /// The kernel reports nothing of a queue that is attached or detached while the interface is down.
    @Test(arguments: [[1], [0], [0, 1], [2, 0]])
    func queuesToggledWhileTheInterfaceIsDownAreKnownWhenItIsUp(detached: [Int]) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 3}"#)
            let holder = try LeaseHolder(daemon, "web0")
            func check() throws {
                let states = try daemon.queues(of: "web0")
                #expect(states.map(\.isAttached) == (0..<3).map { holder.queues[$0]?.isAttached })
                // The sequence may be unknown; a known one is right.
                let indexes = states.compactMap(\.kernelIndex).sorted()
                let attached = try Interface("web0")?.attachedQueues ?? 0
                #expect(indexes.isEmpty || indexes == Array(0..<attached))
            }
            try daemon.patch("web0", spec: #"{"link": {"up": false}}"#)
            for queue in detached { holder.queues[queue]?.detach() }
            try daemon.patch("web0", spec: #"{"link": {"up": true}}"#)
            try check()
            // Also after an interface that another program took down has been repaired.
            try daemon.patch("web0", spec: #"{"link": {"up": false}}"#)
            for queue in detached { holder.queues[queue]?.attach() }
            try run("ip", "link", "set", "web0", "up")
            try eventually("the repair is done") { try Interface("web0")?.isUp == false }
            try daemon.patch("web0", spec: #"{"link": {"up": true}}"#)
            try check()
        }
    }

    /// No write but a forced one switches a queue that a consumer holds: its attachments are as the consumer left them.
    @Test func otherWritesDoNotSwitchLeasedQueues() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let before = try #require(
                try daemon.send("GET", "/v1/devices/web0")["metadata", "resourceVersion"] as? String)
            let holder = try LeaseHolder(daemon, "web0", "queues=0,1,2")
            holder.queues[2]?.detach()
            func check(_ what: String) throws {
                _ = try daemon.send("POST", "/v1/reconcile?wait=5s", json: "{}")
                #expect((0..<3).map { holder.queues[$0]?.isAttached } == [true, true, false], "\(what)")
            }
            try check("reconcile")
            try daemon.patch("web0", spec: #"{"link": {"mtu": 1400}}"#)
            try check("patch")
            let body = #"{"devices": [{"metadata": {"name": "web0"}, "spec": {"queues": 5}}]}"#
            #expect(try daemon.send("POST", "/v1/apply?wait=10s", json: body).status == 200)
            try check("apply")
            #expect(try daemon.send("POST", "/v1/revisions/\(before)/rollback?wait=10s").status == 200)
            try check("rollback")
        }
    }

    /// The consumer may do so; it is reported and not undone.
    @Test func queuesToggledByTheConsumerAreNoticed() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try LeaseHolder(daemon, "web0")
            let frames = try SteeredFrames(to: holder.interfaceIndex, by: try #require(holder.queues[0]))
            func at(_ kernelIndex: Int?) -> QueueState { QueueState(at: kernelIndex, lease: holder.id) }

            holder.queues[1]?.detach()
            try daemon.waitForQueues([at(0), at(nil), at(2), at(1)], of: "web0", within: 1)
            try Self.checkOrder(daemon, "web0", holder.queues, frames)
            holder.queues[1]?.attach()
            try daemon.waitForQueues([at(0), at(3), at(2), at(1)], of: "web0", within: 1)
            try Self.checkOrder(daemon, "web0", holder.queues, frames)
            // It is not undone,
            holder.queues[0]?.detach()
            try daemon.waitForQueues([at(nil), at(0), at(2), at(1)], of: "web0", within: 1)
            _ = try daemon.send("POST", "/v1/reconcile?wait=5s", json: "{}")
            usleep(300_000)
            try daemon.waitForQueues([at(nil), at(0), at(2), at(1)], of: "web0")
            #expect(holder.queues[0]?.isAttached == false)
            #expect(try daemon.phase("web0") == "Ready")
            // unless by a request.
            let answer = try daemon.set(0, of: "web0", enabled: true, force: true)
            #expect(answer["attached"] as? Bool == true && answer["kernelIndex"] as? Int == 3, "\(answer.text)")
            try Self.checkOrder(daemon, "web0", holder.queues, frames)
        }
    }

    /// As a guest does with `ethtool -L`: from the last queue down, and back; at any speed, and whenever the daemon
    /// reads the state.
    @Test func aGuestThatChangesItsChannelsIsFollowed() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 8}"#)
            let holder = try LeaseHolder(daemon, "web0")
            func expect(attached: Int) throws {
                try daemon.waitForQueues(
                    (0..<8).map { QueueState(at: $0 < attached ? $0 : nil, lease: holder.id) }, of: "web0", within: 5)
            }
            for round in 0..<30 {
                for queue in stride(from: 7, to: 1, by: -1) {
                    holder.queues[queue]?.detach()
                    // So that the daemon's passes fall at different times.
                    usleep(UInt32(round * 20))
                }
                try expect(attached: 2)
                for queue in 2..<8 {
                    holder.queues[queue]?.attach()
                    try expect(attached: queue + 1)
                }
            }
        }
    }

    /// A detach and an attach between two passes leave all queues attached, but in another order.
    @Test func aQuickToggleDoesNotMakeTheOrderWrong() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try LeaseHolder(daemon, "web0")
            let frames = try SteeredFrames(to: holder.interfaceIndex, by: try #require(holder.queues[0]))
            for _ in 0..<20 {
                let queue = Int.random(in: 0..<3)
                holder.queues[queue]?.detach()
                holder.queues[queue]?.attach()
                // Time to notice.
                usleep(100_000)
                let reported = try daemon.order(of: "web0")
                let found = try frames.order(of: holder.queues, count: 4)
                guard reported.isEmpty || reported == found else {
                    throw TestFailure("queue \(queue) was toggled: the API has \(reported), the kernel \(found)")
                }
            }
        }
    }

    @Test func twoLeasesShareADevice() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 5}"#)
            let first = try LeaseHolder(daemon, "web0", "queues=1,3")
            let second = try LeaseHolder(daemon, "web0", "queues=4,0")
            let third = try LeaseHolder(daemon, "web0")
            #expect(second.lines[0].queues == [0, 4] && third.lines[0].queues == [2])
            #expect(throws: LeaseHolder.Refusal.self) { try LeaseHolder(daemon, "web0", "queues=0") }
            let frames = try SteeredFrames(to: first.interfaceIndex, by: try #require(first.queues[1]))
            var all = first.queues.merging(second.queues) { a, _ in a }.merging(third.queues) { a, _ in a }
            #expect(try daemon.order(of: "web0") == [1, 3, 0, 4, 2])
            try Self.checkOrder(daemon, "web0", all, frames)

            // A consumer that closes its connection loses its queues, even if it keeps copies.
            first.close()
            try daemon.waitForLeases([second.id, third.id])
            #expect(first.queues.values.allSatisfy { $0.isAttached == false })
            // From the end: 3 is replaced by 2, then 1 by 4.
            #expect(try daemon.order(of: "web0") == [4, 2, 0])
            try Self.checkOrder(daemon, "web0", all, frames)
            first.queues = [:]
            all[1] = nil
            all[3] = nil
            #expect(!second.isOver && !third.isOver)

            let fourth = try LeaseHolder(daemon, "web0")
            all.merge(fourth.queues) { a, _ in a }
            #expect(try daemon.order(of: "web0") == [4, 2, 0, 1, 3])
            try Self.checkOrder(daemon, "web0", all, frames)
        }
    }

    /// A consumer without a lease can still attach copies that it kept: then the kernel's order is unknown.
    @Test func aRevokedConsumerThatAttachesAgainMakesTheOrderUnknown() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let gone = try LeaseHolder(daemon, "web0", "queues=0")
            let holder = try LeaseHolder(daemon, "web0")
            #expect(try daemon.order(of: "web0") == [0, 1, 2, 3])
            #expect(try daemon.send("DELETE", "/v1/leases/\(gone.id)").status == 204)
            try eventually("the lease is over") { gone.isOver }
            #expect(gone.queues[0]?.isAttached == false)
            try daemon.waitForQueues(
                [QueueState(at: nil, lease: nil)] + [1, 2, 0].map { QueueState(at: $0, lease: holder.id) }, of: "web0")

            #expect(gone.queues[0]?.attach() == true)
            let unknown = QueueState(at: nil, attached: true, lease: holder.id)
            try daemon.waitForQueues(
                [QueueState(at: nil, lease: nil), unknown, unknown, unknown], of: "web0", within: 1)
            // An index that is known for a single queue is not known beside a queue outside leases.
            for queue in [1, 2] {
                let answer = try daemon.set(queue, of: "web0", enabled: false, force: true)
                #expect(answer["attached"] as? Bool == false)
            }
            #expect(try daemon.order(of: "web0") == [])
            let answer = try daemon.set(2, of: "web0", enabled: true, force: true)
            #expect(answer["attached"] as? Bool == true && answer["kernelIndex"] as? Int == nil, "\(answer.text)")

            // A new lease beside it.
            let other = try LeaseHolder(daemon, "web0", "force=true")
            #expect(other.queues[0]?.isAttached == true)
            usleep(200_000)
            #expect(try daemon.order(of: "web0") == [])
            // When all leases are over and the old consumer is gone, the order is known again.
            gone.queues = [:]
            for holder in [holder, other] {
                holder.close()
                holder.queues = [:]
            }
            try daemon.waitForLeases([])
            try daemon.set(1, of: "web0", enabled: true, force: true)
            let last = try LeaseHolder(daemon, "web0")
            #expect(try daemon.order(of: "web0") == [0, 1, 2, 3])
            _ = last
        }
    }

    /// The old consumer's queue was there before the lease.
    @Test func aLeaseBesideAnExternalQueueHasNoKnownOrder() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let gone = try LeaseHolder(daemon, "web0", "queues=3")
            _ = try daemon.send("DELETE", "/v1/leases/\(gone.id)")
            try eventually("the lease is over") { gone.isOver }
            gone.queues[3]?.attach()
            usleep(200_000)
            let holder = try LeaseHolder(daemon, "web0", "queues=0,1&force=true")
            // It is detected when the lease attaches its own queues.
            let unknown = QueueState(at: nil, attached: true, lease: holder.id)
            let free = QueueState(at: nil, lease: nil)
            try daemon.waitForQueues([unknown, unknown, free, free], of: "web0", within: 1)
        }
    }
}
