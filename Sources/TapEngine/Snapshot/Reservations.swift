internal import HashTreeCollections
internal import Synchronization
internal import TapCore

/// Which devices are closed for leases. Which queues are reserved or leased is in the snapshot, as a device's `leases`:
/// a reservation is a lease whose queues are not attached yet.
///
/// A value in `SnapshotStore.State`, under its lock.
struct Reservations {
    /// Devices that a write is about to change so that leases cannot go on.
    private var closed: Set<DeviceName> = []

    func isClosed(_ name: DeviceName) -> Bool { closed.contains(name) }

    mutating func close(_ names: some Sequence<DeviceName>) { closed.formUnion(names) }

    mutating func open(_ names: some Sequence<DeviceName>) { closed.subtract(names) }
}
