package import TapStore

/// Whether all is well, as `/readyz` and the metrics tell it.
package struct Health: Sendable {
    let snapshots: SnapshotStore
    package let store: Store
    let inbox: WorkerInbox

    /// With what is wrong with the database before anybody has written to it.
    package var snapshot: Snapshot {
        if let failure = store.failure, snapshots.current.storeFailure == nil {
            snapshots.setStoreFailure(failure.description)
            // The worker finds out when it is over.
            inbox.wake()
        }
        return snapshots.current
    }
}
