internal import TapStore

/// Whether all is well, as `/readyz` and the metrics tell it.
struct Health: Sendable {
    let board: Board
    let store: Store
    let inbox: WorkerInbox

    /// With what is wrong with the database before anybody has written to it.
    var snapshot: Snapshot {
        if let failure = store.failure, board.snapshot.storeFailure == nil {
            board.setStoreFailure(failure.description)
            // The worker finds out when it is over.
            inbox.wake()
        }
        return board.snapshot
    }
}
