internal import HashTreeCollections
internal import Synchronization
internal import TapCore

extension SnapshotStore {
    /// Reserves queues for a lease, before they are opened.
    ///
    /// - Parameters:
    ///   - lease: The queues.
    ///   - view: The version of the device in which they were free.
    /// - Returns: False while a write is under way with which leases cannot go on, or when there is another version.
    func reserve(_ lease: LeaseView, in view: DeviceView) -> Bool {
        change([]) { state in
            guard !state.reservations.isClosed(lease.device), state.snapshot.devices[lease.device] === view else {
                return false
            }
            state.show(view.with(leases: view.leases + [lease]))
            return true
        }
    }

    /// What the worker knows of a device's leases.
    func publish(_ leases: [LeaseView], of name: DeviceName) {
        change([]) { state in
            guard let view = state.snapshot.devices[name], view.leases != leases else { return }
            state.show(view.with(leases: leases))
        }
    }

    /// A lease is over.
    package func release(_ id: LeaseIdentifier, of name: DeviceName) {
        change([]) { state in
            guard let view = state.snapshot.devices[name] else { return }
            state.show(view.with(leases: view.leases.filter { $0.id != id }))
        }
    }

    /// Blocks new leases on some devices until `open`: between the look whether they are leased and the commit, none of
    /// their queues may be leased.
    ///
    /// - Parameters:
    ///   - devices: And which of a device's leases is in the way.
    ///   - force: Whether leases may end.
    /// - Returns: A lease that is in the way; then nothing is closed.
    package func close(_ devices: [DeviceName: (LeaseView) -> Bool], force: Bool) -> LeaseView? {
        state.withLock { state in
            for (name, isInTheWay) in devices where !force {
                if let lease = state.snapshot.devices[name]?.leases.first(where: isInTheWay) { return lease }
            }
            state.reservations.close(devices.keys)
            return nil
        }
    }

    package func open(_ names: some Sequence<DeviceName>) {
        state.withLock { $0.reservations.open(names) }
    }
}
