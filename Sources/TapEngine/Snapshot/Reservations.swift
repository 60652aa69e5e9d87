internal import HashTreeCollections
internal import Synchronization
internal import TapCore

/// The devices that are closed to new leases. Reserved and leased queues are in the snapshot, in a device's `leases`: a
/// reservation is a lease whose queues are not attached yet.
///
/// Part of `SnapshotStore.State`, protected by its lock.
struct Reservations {
    /// Devices that a pending write is about to change in a way that ends leases.
    private var closed: Set<DeviceName> = []

    func isClosed(_ name: DeviceName) -> Bool { closed.contains(name) }

    mutating func close(_ names: some Sequence<DeviceName>) { closed.formUnion(names) }

    mutating func open(_ names: some Sequence<DeviceName>) { closed.subtract(names) }
}

/// The result of reserving queues for a lease.
enum ReservationResult {
    case reserved
    /// A write that ends leases is in progress.
    case closed
    /// The device has another version now; what was checked in the old one must be checked again.
    case changed
}
