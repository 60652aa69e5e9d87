internal import TapStore

/// The daemon's health, as `/readyz` and the metrics report it.
struct Health: Sendable {
    let snapshots: SnapshotStore
    /// Asked for a failure that no write has met yet.
    let store: Store
    let inbox: WorkerInbox

    /// The current snapshot, with `storeFailure` set if the database has failed since the last write.
    var snapshot: Snapshot {
        if let failure = store.failure, snapshots.current.storeFailure == nil {
            snapshots.setStoreFailure(failure.description)
            // The worker retries the database until it works again.
            inbox.wake()
        }
        return snapshots.current
    }
}
