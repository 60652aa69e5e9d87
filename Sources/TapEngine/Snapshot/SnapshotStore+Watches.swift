internal import HashTreeCollections
internal import Synchronization
internal import TapCore

// Reads of watch streams: where to start, and the next change.
extension SnapshotStore {
    /// Finds where a watch starts.
    ///
    /// - Parameter revision: The last revision that the client has seen; `nil` if it has seen none.
    /// - Returns: The position, with the snapshot that belongs to it.
    /// - Throws: `Refusal.resourceVersionGone` if the changes since that revision are no longer kept.
    func start(after revision: Int?) throws(Refusal) -> WatchStart {
        let (start, oldest, newest) = state.withLock { state -> (WatchStart?, Int, Int) in
            let changes = state.changes
            let known = changes.forgotten.revision...state.snapshot.revision
            guard let revision else {
                let place = WatchPosition(sequence: 0, removalsIgnoredUpTo: changes.sequence)
                let start = WatchStart(place: place, revision: nil, snapshot: state.snapshot, changed: [], removed: [])
                return (start, known.lowerBound, known.upperBound)
            }
            guard known.contains(revision) else { return (nil, known.lowerBound, known.upperBound) }
            let place = WatchPosition(
                sequence: changes.place(before: revision), removalsIgnoredUpTo: changes.forgotten.sequence)
            let start = WatchStart(
                place: place, revision: revision, snapshot: state.snapshot,
                changed: changes.identifiers(after: place.sequence), removed: changes.removed(after: revision))
            return (start, known.lowerBound, known.upperBound)
        }
        if let start { return start }
        throw .resourceVersionGone(found: revision ?? 0, oldest: oldest, newest: newest)
    }

    /// The next change after a position.
    func next(after place: WatchPosition) -> NextChange {
        state.withLock { state in
            let changes = state.changes
            guard changes.forgotten.sequence <= max(place.sequence, place.removalsIgnoredUpTo) else {
                return .forgotten
            }
            guard let change = changes.first(after: place.sequence),
                let view = change.last ?? state.snapshot.devices[change.name]
            else { return .nothing(revision: state.snapshot.revision) }
            return .change(change, view)
        }
    }
}
