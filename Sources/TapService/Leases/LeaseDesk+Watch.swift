internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapStore

extension LeaseDesk {
    /// How often we look until the interface and its queues tell the same.
    private static let looksMax = 4

    /// Something was heard of a device, or a full look was made: its consumers may have toggled their queues, which is
    /// theirs to do. It is noticed and shown, not fought.
    func look(at name: DeviceName) {
        guard let before = devices[name]?.order else { return }
        let fewest = takeFewestQueues(name)
        // A stranger may have moved the interface to another namespace, and its queues with it.
        if let place = LeasePlace(board.snapshot.devices[name]?.record.claim) {
            for lease in devices[name]?.leases ?? [] where lease.place != place { finish(lease, .lost) }
        }
        for attempt in 1...Self.looksMax {
            let attachedBefore = devices[name]?.order.attached
            for lease in notice(name) { finish(lease, .lost) }
            guard let device = devices[name], let lease = device.leases.first,
                let record = board.snapshot.devices[name]?.record, let site = site(of: record),
                let attached = site.observed[lease.place.index]?.tun?.attachedQueues,
                (attached != device.order.attached.count) != device.order.hasStrangers
            else { break }
            if attempt < Self.looksMax {
                // A queue may have been toggled between the two questions.
                try? site.refresh([lease.place.index])
            } else if device.order.attached != attachedBefore {
                // Somebody toggles them faster than we look: whether there are strangers is for the next look.
                site.heard.touched.insert(lease.place.index)
            } else {
                // Somebody has queues that are not ours: a consumer whose lease was revoked, perhaps. Or has no longer.
                devices[name]?.order.notice(strangers: attached != device.order.attached.count)
            }
        }
        // There were fewer than we knew of: some have been detached and attached again, and are in other places now.
        if let fewest, let known = devices[name]?.fewestQueues, fewest < known { devices[name]?.order.lose() }
        guard let order = devices[name]?.order else { return }
        devices[name]?.fewestQueues = order.attached.count
        tell(name, since: before)
    }

    /// Notes and publishes where the queues are, if they are not where they were.
    private func tell(_ name: DeviceName, since before: QueueOrder<Int>) {
        guard let order = devices[name]?.order, order != before else { return }
        remember { () throws(KernelError) in try ledger.reorder(name, order.known) }
        settle(name)
    }

    private func takeFewestQueues(_ name: DeviceName) -> Int? {
        guard let lease = devices[name]?.leases.first, let record = board.snapshot.devices[name]?.record else {
            return nil
        }
        return site(of: record)?.takeFewestQueues(of: lease.place.index)
    }

    /// Asks the kernel which queues are attached.
    ///
    /// - Returns: Leases whose queues are gone, with their interface.
    func notice(_ name: DeviceName) -> [Lease] {
        var (attached, lost) = attachedQueues(of: name)
        // One is asked after the other. A guest that detaches several just now would seem to have detached one from the
        // middle, so what is new is asked again until it stays.
        for _ in 1..<Self.looksMax where lost.isEmpty && attached != devices[name]?.order.attached {
            let before = attached
            (attached, lost) = attachedQueues(of: name)
            if attached == before { break }
        }
        guard lost.isEmpty, let device = devices[name] else { return lost }
        // Those that went may have gone before the others came.
        let stayed = device.order.attached.intersection(attached)
        devices[name]?.fewestQueues = min(device.fewestQueues, stayed.count)
        devices[name]?.order.notice(attached: attached)
        return lost
    }

    private func attachedQueues(of name: DeviceName) -> (Set<Int>, lost: [Lease]) {
        var attached: Set<Int> = []
        var lost: [Lease] = []
        for lease in devices[name]?.leases ?? [] {
            do throws(KernelError) {
                for (index, queue) in lease.queues where try queue.isAttached() { attached.insert(index) }
            } catch {
                lost.append(lease)
            }
        }
        return (attached, lost)
    }

    /// Makes the queue follow what a user has just stated. Where it is not leased, there is nothing to follow.
    func setQueue(_ name: DeviceName, _ index: Int, isEnabled: Bool) throws(Refusal) {
        guard let before = devices[name]?.order else { return }
        defer { tell(name, since: before) }
        for lease in notice(name) { finish(lease, .lost) }
        guard let queue = devices[name]?.leases.lazy.compactMap({ $0.queues[index] }).first,
            let order = devices[name]?.order, order.attached.contains(index) != isEnabled
        else { return }
        do throws(KernelError) {
            CrashPoint.reach(CrashPoint.queueSwitch)
            if isEnabled {
                try queue.attach()
                devices[name]?.order.attach(index)
            } else {
                try queue.detach()
                devices[name]?.order.detach(index)
            }
        } catch {
            metrics.countRefusal(error)
            throw .kernelRefused(error)
        }
        metrics.operations.increment([isEnabled ? "attach_queue" : "detach_queue"])
    }

    /// Revokes a lease.
    ///
    /// - Returns: Whose queues it had; nothing when there is none.
    func revoke(_ id: LeaseIdentifier) -> DeviceName? {
        guard let lease = devices.values.lazy.flatMap(\.leases).first(where: { $0.id == id }) else { return nil }
        end(lease, .revoked)
        return lease.device
    }

    /// A device was stated anew, or its queues were. What its leases cannot keep then, its author has allowed to end.
    func follow(_ record: DeviceRecord) {
        for lease in devices[record.name]?.leases ?? [] where !lease.canGoOn(with: record) { end(lease, .revoked) }
        setReceiveCPUs(of: record.name)
    }

    // MARK: After each change

    /// Has CPUs follow the queues, tells everybody, and forgets a device without leases.
    func settle(_ name: DeviceName) {
        guard let device = devices[name] else { return }
        setReceiveCPUs(of: name)
        board.publish(device.leases.map { LeaseView($0, order: device.order) }, of: name)
        if device.leases.isEmpty { devices[name] = nil }
    }

    /// The kernel has CPUs by its own index, so they are moved along with the queues.
    func setReceiveCPUs(of name: DeviceName) {
        guard let device = devices[name], let record = board.snapshot.devices[name]?.record,
            let site = site(of: record),
            let index = device.leases.first?.place.index ?? LeasePlace(record.claim)?.index
        else { return }
        var wanted: [Int: [Int]] = [:]
        // Where it is not known who is where, nobody's packets go to another one's CPUs.
        for (kernelIndex, queue) in (device.order.known ?? []).enumerated() {
            if let cpus = record.assignments[queue]?.cpus, !cpus.isEmpty { wanted[kernelIndex] = cpus }
        }
        for kernelIndex in Set(wanted.keys).union(device.receiveCPUs.keys).sorted()
        where wanted[kernelIndex] != device.receiveCPUs[kernelIndex] {
            // Once it has failed it would fail again, and say so each time.
            devices[name]?.receiveCPUs[kernelIndex] = wanted[kernelIndex]
            do throws(KernelError) {
                try site.kernel.setReceiveCPUs(wanted[kernelIndex] ?? [], of: index, at: kernelIndex)
            } catch {
                metrics.countRefusal(error)
                log.warning("the CPUs of a queue cannot be set", metadata: ["device": "\(name)", "error": "\(error)"])
            }
        }
    }
}

extension LeaseView {
    /// A lease that is about to be.
    init(_ lease: Lease, queues: [Int]) {
        self.init(lease, Dictionary(uniqueKeysWithValues: queues.map { ($0, Queue(isAttached: false)) }))
    }

    init(_ lease: Lease, order: QueueOrder<Int>) {
        self.init(
            lease,
            Dictionary(
                uniqueKeysWithValues: lease.queues.keys.map {
                    ($0, Queue(isAttached: order.attached.contains($0), kernelIndex: order.kernelIndex(of: $0)))
                }))
    }

    private init(_ lease: Lease, _ queues: [Int: Queue]) {
        self.init(
            id: lease.id, device: lease.device, consumer: lease.consumer, process: lease.process, user: lease.user,
            group: lease.group, since: lease.since, queues: queues)
    }
}
