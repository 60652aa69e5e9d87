internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapStore

extension LeaseBroker {
    /// Restores the leases whose descriptors the service manager has kept, after the first full read of the kernel.
    /// Queues without a lease are detached and closed.
    func restore() {
        guard !isRestored else { return }
        isRestored = true
        let journaled = journal.read()
        var kept = kernel.restoreKept()
        var broken: [Lease] = []
        for entry in journaled.leases.values {
            // The journal may be damaged.
            let lease = Lease(entry.record, of: Set(entry.queues).sorted())
            lease.keptQueues = entry.queues.count
            lease.isKept = true
            if let bundle = kept.bundles.removeValue(forKey: lease.keptName) {
                lease.connection = bundle.connection
                for (index, queue) in zip(entry.queues, bundle.queues) { lease.queues[index] = queue }
            }
            if let connection = lease.connection { connections[ObjectIdentifier(connection)] = lease }
            addDevice(lease.device).add(lease)
            if !isWhole(lease, of: entry) { broken.append(lease) }
        }
        for (name, bundle) in kept.bundles {
            for queue in bundle.queues {
                try? queue.detach()
                queue.close()
            }
            bundle.connection?.close()
            kernel.forget(name, queues: bundle.queues.count)
        }
        for name in kept.others + kept.bundles.keys {
            log.notice("closed an inherited descriptor that belongs to no lease", metadata: ["name": "\(name)"])
        }
        for device in devices.values { broken += resume(device, journaled.orders[device.name]) }
        for lease in broken {
            log.notice("a lease could not be restored", metadata: lease.metadata)
            end(lease, .unrestored)
        }
        for name in devices.keys { publish(name) }
        if !connections.isEmpty { log.info("leases restored", metadata: ["count": "\(connections.count)"]) }
    }

    /// Whether all descriptors of the lease came back, and its device is still wanted and has the same interface.
    private func isWhole(_ lease: Lease, of entry: LeaseJournal.Entry) -> Bool {
        guard let record = snapshots.current.devices[lease.device]?.record else { return false }
        return lease.connection != nil && lease.indexes == entry.queues.sorted()
            && lease.canContinue(with: record) && LeasePlace(record.claim) == lease.place
    }

    /// Restores the order of a device's queues; they may have been attached or detached while no daemon ran.
    ///
    /// - Returns: Leases whose queues no longer exist.
    private func resume(_ device: LeasedDevice, _ order: [Int]?) -> [Lease] {
        device.resume(order)
        // The journal does not record which CPUs are set, so they are set again.
        if let record = snapshots.current.devices[device.name]?.record,
            record.assignments.values.contains(where: { !$0.cpus.isEmpty })
        {
            device.forgetReceiveCPUs(at: record.queues)
        }
        return device.refreshAttachedQueues()
    }
}
