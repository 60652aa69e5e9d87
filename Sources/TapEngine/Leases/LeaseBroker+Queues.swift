internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapStore

extension LeaseBroker {
    /// Keeps what the kernel has reported of the queues of leased devices.
    func noteFewestQueues(in namespace: NamespaceState) {
        for (name, index, count) in namespace.takeFewestQueues() {
            guard let device = devices[name],
                device.place == LeasePlace(namespace: namespace.observed.host.namespace, index: index)
            else { continue }
            device.noteReported(fewest: count)
        }
    }

    /// Something was heard of a device, or a full look was made: its consumers may have toggled their queues, which is
    /// theirs to do. It is noticed and shown, not fought.
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

    /// Looks until the interface and its queues tell the same.
    private func compareWithInterface(_ device: LeasedDevice) {
        for attempt in 1...LeasedDevice.looksMax {
            let attachedBefore = device.order.attached
            for lease in device.notice() { finish(lease, .lost) }
            guard let index = device.place?.index,
                let record = snapshots.current.devices[device.name]?.record, let namespace = namespace(of: record),
                let attached = namespace.observed[index]?.tun?.attachedQueues,
                (attached != device.order.attached.count) != device.order.hasStrangers
            else { break }
            if attempt < LeasedDevice.looksMax {
                // A queue may have been toggled between the two questions.
                try? namespace.refresh([index])
            } else if device.order.attached != attachedBefore {
                // They are toggled faster than we look: whether there are strangers is for the next look.
                namespace.pendingSignals.touched.insert(index)
            } else {
                // Others have queues attached: a consumer whose lease was revoked, perhaps. Or have no longer.
                device.notice(strangers: attached != device.order.attached.count)
            }
        }
    }

    /// Notes and publishes where the queues are, if they are not where they were.
    private func noteOrder(of device: LeasedDevice, since before: QueueOrder<Int>) {
        guard !device.leases.isEmpty, device.order != before else { return }
        remember { () throws(KernelError) in try journal.reorder(device.name, device.order.known) }
        settle(device.name)
    }

    /// Makes the queue follow what a user has just stated. Where it is not leased, there is nothing to follow.
    package func setQueue(_ name: DeviceName, _ index: Int, isEnabled: Bool) throws(Refusal) {
        guard let device = devices[name] else { return }
        let before = device.order
        defer { noteOrder(of: device, since: before) }
        for lease in device.notice() { finish(lease, .lost) }
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

    /// Revokes a lease.
    ///
    /// - Returns: Whose queues it had; nothing when there is none.
    package func revoke(_ id: LeaseIdentifier) -> DeviceName? {
        guard let lease = devices.values.lazy.flatMap(\.leases).first(where: { $0.id == id }) else { return nil }
        end(lease, .revoked)
        return lease.device
    }

    /// A device was stated anew, or its queues were. What its leases cannot keep then, its author has allowed to end.
    package func follow(_ record: DeviceRecord) {
        for lease in devices[record.name]?.leases ?? [] where !lease.canGoOn(with: record) { end(lease, .revoked) }
        setReceiveCPUs(of: record.name)
    }

    // MARK: After each change

    /// Has CPUs follow the queues, tells everybody, and forgets a device without leases.
    func settle(_ name: DeviceName) {
        guard let device = devices[name] else { return }
        setReceiveCPUs(of: name)
        snapshots.publish(device.views, of: name)
        if device.leases.isEmpty { devices[name] = nil }
    }

    /// The kernel has CPUs by its own index, so they are moved along with the queues.
    func setReceiveCPUs(of name: DeviceName) {
        guard let device = devices[name], let record = snapshots.current.devices[name]?.record,
            let namespace = namespace(of: record),
            let index = device.place?.index ?? LeasePlace(record.claim)?.index
        else { return }
        for (kernelIndex, cpus) in device.takeReceiveCPUChanges(record.assignments) {
            do throws(KernelError) {
                try namespace.kernel.setReceiveCPUs(cpus, of: index, at: kernelIndex)
            } catch {
                metrics.countRefusal(error)
                log.warning("the CPUs of a queue cannot be set", metadata: ["device": "\(name)", "error": "\(error)"])
            }
        }
    }
}
