internal import HashTreeCollections
internal import Synchronization
internal import TapCore

extension SnapshotStore {
    /// Reserves queues for a lease, before they are opened.
    ///
    /// - Parameters:
    ///   - lease: The lease, with the queues to reserve.
    ///   - view: The version of the device in which the queues were free.
    /// - Returns: Whether the queues are reserved, or why not.
    func reserve(_ lease: LeaseView, in view: DeviceView) -> ReservationResult {
        change([]) { state in
            guard !state.reservations.isClosed(lease.device) else { return .closed }
            guard state.snapshot.devices[lease.device] === view else { return .changed }
            state.show(view.with(leases: view.leases + [lease]))
            return .reserved
        }
    }

    /// Publishes a device's leases.
    func publish(_ leases: [LeaseView], of name: DeviceName) {
        change([]) { state in
            guard let view = state.snapshot.devices[name], view.leases != leases else { return }
            state.show(view.with(leases: leases))
        }
    }

    /// Removes an ended lease.
    func release(_ id: LeaseIdentifier, of name: DeviceName) {
        change([]) { state in
            guard let view = state.snapshot.devices[name] else { return }
            state.show(view.with(leases: view.leases.filter { $0.id != id }))
        }
    }

    /// Blocks new leases on some devices until `open`, so that none of their queues can be leased between the check for
    /// leases and the commit.
    ///
    /// - Parameters:
    ///   - devices: For each device, which leases the write would end.
    ///   - force: Whether the write may end leases.
    /// - Returns: A lease that prevents the write; no device is then closed. `nil` on success.
    func close(_ devices: [DeviceName: (LeaseView) -> Bool], force: Bool) -> LeaseView? {
        state.withLock { state in
            if !force, let lease = state.snapshot.lease(in: devices) { return lease }
            state.reservations.close(devices.keys)
            return nil
        }
    }

    /// A lease that would prevent `close` without `force`; `nil` if there is none.
    func lease(in devices: [DeviceName: (LeaseView) -> Bool]) -> LeaseView? { current.lease(in: devices) }

    /// Permits new leases again.
    func open(_ names: some Sequence<DeviceName>) {
        state.withLock { $0.reservations.open(names) }
    }
}

extension Snapshot {
    /// A lease that a write would end.
    fileprivate func lease(in endedLeases: [DeviceName: (LeaseView) -> Bool]) -> LeaseView? {
        for (name, isEnded) in endedLeases {
            if let lease = devices[name]?.leases.first(where: isEnded) { return lease }
        }
        return nil
    }
}
