internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapStore

extension LeaseBroker {
    /// Notes the numbers of attached queues that the kernel has reported for leased devices.
    func noteFewestQueues(in namespace: NamespaceState) {
        for (name, index, count) in namespace.drainFewestQueues() {
            guard let device = devices[name],
                device.place == LeasePlace(namespace: namespace.observed.host.namespace, index: index)
            else { continue }
            device.noteReported(fewest: count)
        }
    }

    /// Whether queues of the device are leased.
    func isLeased(_ name: DeviceName) -> Bool { devices[name] != nil }

    /// How many queues of the device are leased.
    func leasedQueues(of name: DeviceName) -> LeasedQueues {
        guard let device = devices[name] else { return LeasedQueues() }
        let count = device.leases.reduce(0) { $0 + $1.queues.count }
        return LeasedQueues(count: count, attached: device.order.attached.count)
    }

    /// Checks that the kernel steers packets to no queue that is not leased. Read anew, since the notification about a
    /// queue that was attached just now may not have been read yet.
    ///
    /// - Throws: `Refusal.strayQueues`.
    func refuseBesideStrayQueues(
        of record: DeviceRecord, at namespace: NamespaceState, _ index: LinkIndex
    ) throws(Refusal) {
        // The kernel refuses a second queue of a single-queue device itself.
        guard record.spec.queues.isMultiple else { return }
        var strays = StrayQueues()
        for _ in 1...LeasedDevice.looksMax {
            for lease in devices[record.name]?.refreshAttachedQueues() ?? [] { finish(lease, .lost) }
            try? namespace.refresh([index])
            guard let link = namespace.observed[index] else { return }
            strays = StrayQueues(
                of: link, record.spec, leased: leasedQueues(of: record.name),
                isAnchored: namespace.observed.anchored.contains(index))
            if strays.attached == 0 { return }
        }
        throw .strayQueues(record.name, record.spec, strays)
    }

    /// Has the next pass read the device's interface from the kernel: a consumer may change its owner, its group, and
    /// whether it is persistent, and the kernel reports no change of an interface that is down.
    func readBack(_ name: DeviceName) {
        guard let record = snapshots.current.devices[name]?.record, let place = LeasePlace(record.claim) else { return }
        namespace(of: record)?.touch(place.index)
    }

    /// Reads which queues of a leased device are attached, after a kernel notification or a full read. Consumers may
    /// attach and detach their queues; that is published, not undone.
    package func look(at name: DeviceName) {
        guard let device = devices[name] else { return }
        let before = device.order
        // The interface may have been moved to another namespace, and its queues with it.
        if let place = LeasePlace(snapshots.current.devices[name]?.record.claim) {
            for lease in device.leases where lease.place != place { finish(lease, .lost) }
        }
        compareWithInterface(device)
        guard !device.leases.isEmpty else { return }
        device.endLook()
        noteOrder(of: device, since: before)
    }

    /// Compares the queues with the interface's count of attached queues, until both agree or `looksMax` is reached.
    private func compareWithInterface(_ device: LeasedDevice) {
        for attempt in 1...LeasedDevice.looksMax {
            let attachedBefore = device.order.attached
            for lease in device.refreshAttachedQueues() { finish(lease, .lost) }
            guard let index = device.place?.index,
                let record = snapshots.current.devices[device.name]?.record, let namespace = namespace(of: record),
                let attached = namespace.observed[index]?.tun?.attachedQueues,
                (attached != device.order.attached.count) != device.order.hasForeignQueues
            else { break }
            if attempt < LeasedDevice.looksMax {
                // A queue may have been attached or detached between the two reads.
                try? namespace.refresh([index])
            } else if device.order.attached != attachedBefore {
                // The queues change faster than we read. Whether others are attached is left to the next look.
                namespace.touch(index)
            } else {
                // Another process has queues attached, such as a consumer whose lease was revoked; or no longer has.
                device.notice(foreignQueues: attached != device.order.attached.count)
            }
        }
    }

    /// Records and publishes the order of the queues if it has changed.
    private func noteOrder(of device: LeasedDevice, since before: QueueOrder<Int>) {
        guard !device.leases.isEmpty, device.order != before else { return }
        remember { () throws(KernelError) in try journal.reorder(device.name, device.order.known) }
        publish(device.name)
    }

    /// Attaches or detaches a queue that a user has enabled or disabled with `force`. Does nothing if the queue is not
    /// leased.
    package func setQueue(_ name: DeviceName, _ index: Int, isEnabled: Bool) throws(Refusal) {
        guard let device = devices[name] else { return }
        let before = device.order
        defer { noteOrder(of: device, since: before) }
        for lease in device.refreshAttachedQueues() { finish(lease, .lost) }
        guard let queue = device.queue(index), device.order.attached.contains(index) != isEnabled else { return }
        do throws(KernelError) {
            CrashPoint.reach(CrashPoint.queueSwitch)
            if isEnabled {
                try queue.attach()
                device.attach(index)
            } else {
                try queue.detach()
                device.detach(index)
            }
        } catch {
            metrics.countRefusal(error)
            throw .kernelRefused(error)
        }
        metrics.operations.increment([isEnabled ? "attach_queue" : "detach_queue"])
    }

    /// Applies a changed device record: ends the leases that are incompatible with it (the change was permitted to end
    /// them) and sets CPUs.
    package func follow(_ record: DeviceRecord) {
        for lease in devices[record.name]?.leases ?? [] where !lease.canContinue(with: record) { end(lease, .changed) }
        setReceiveCPUs(of: record.name)
    }

    // MARK: After each change

    /// Sets CPUs, publishes the leases, and removes the entry of a device without leases.
    func publish(_ name: DeviceName) {
        guard let device = devices[name] else { return }
        setReceiveCPUs(of: name)
        snapshots.publish(device.views, of: name)
        if device.leases.isEmpty { devices[name] = nil }
    }

    /// Sets the CPUs of assigned queues. The kernel has them by its own index, so they move with the queues.
    func setReceiveCPUs(of name: DeviceName) {
        guard let device = devices[name], let record = snapshots.current.devices[name]?.record,
            let namespace = namespace(of: record),
            let index = device.place?.index ?? LeasePlace(record.claim)?.index
        else { return }
        for (kernelIndex, cpus) in device.updateReceiveCPUs(record.assignments) {
            do throws(KernelError) {
                try namespace.kernel.setReceiveCPUs(cpus, of: index, at: kernelIndex)
            } catch {
                metrics.countRefusal(error)
                log.warning("cannot set the CPUs of a queue", metadata: ["device": "\(name)", "error": "\(error)"])
            }
        }
    }
}
