internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapStore

extension LeaseBroker {
    /// Takes up the leases whose descriptors the service manager has kept, after the first look at the kernel. What
    /// comes back and belongs to nothing is closed, and its queues are detached: whoever reads them has no lease.
    func restore() {
        guard !isRestored else { return }
        isRestored = true
        let said = journal.read()
        var kept = kernel.takeKept()
        var broken: [Lease] = []
        for entry in said.leases.values {
            let lease = Lease(entry.record)
            lease.keptQueues = entry.queues.count
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
            log.notice("a descriptor came back that belongs to nothing, and is closed", metadata: ["name": "\(name)"])
        }
        for device in devices.values { broken += resume(device, said.orders[device.name]) }
        for lease in broken {
            log.notice("a lease cannot go on", metadata: lease.metadata)
            end(lease, .lost)
        }
        for name in devices.keys { settle(name) }
        if !connections.isEmpty { log.info("leases go on", metadata: ["count": "\(connections.count)"]) }
    }

    /// Whether everything of it has come back, and its device is still wanted and there.
    private func isWhole(_ lease: Lease, of entry: LeaseJournal.Entry) -> Bool {
        guard let record = snapshots.current.devices[lease.device]?.record else { return false }
        return lease.connection != nil && lease.indexes == entry.queues.sorted()
            && lease.canGoOn(with: record) && LeasePlace(record.claim) == lease.place
    }

    /// Queues may have been toggled while no daemon ran.
    ///
    /// - Returns: Leases whose queues are gone.
    private func resume(_ device: LeasedDevice, _ order: [Int]?) -> [Lease] {
        device.resume(order)
        // Which CPUs are set is not noted, so they are set again.
        if let record = snapshots.current.devices[device.name]?.record,
            record.assignments.values.contains(where: { !$0.cpus.isEmpty })
        {
            device.forgetReceiveCPUs(at: record.queues)
        }
        return device.notice()
    }
}
