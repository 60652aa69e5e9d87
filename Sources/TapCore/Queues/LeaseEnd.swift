/// Why a lease has ended; the raw value is the word in the history and in metrics. The set is closed.
public enum LeaseEnd: String, CaseIterable, Hashable, Sendable {
    /// The client disconnected before it received the queues.
    case unclaimed
    /// Sending the queues failed.
    case failed
    /// The client closed its connection, or its process ended.
    case closed
    /// A request revoked it.
    case revoked
    /// The device was deleted, by a request that was permitted to end leases.
    case deleted
    /// The device was deleted and created again, by a request that was permitted to end leases.
    case recreated
    /// The device was changed, by a request that was permitted to end leases: it has fewer queues or is not brokered.
    case changed
    /// The queues no longer exist, because another process has removed or moved their interface.
    case lost
    /// The daemon stopped, and no supervisor keeps its descriptors.
    case stopped
    /// After a restart of the daemon, not all of its descriptors came back, or the device had changed.
    case unrestored
}
