internal import HashTreeCollections
internal import Synchronization
internal import TapCore

// What watch streams read: where to begin, and what comes after a place.
extension SnapshotStore {
    /// - Parameter revision: What a client has seen; nothing for one that has seen nothing.
    /// - Returns: From where it reads on.
    /// - Throws: `Refusal.resourceVersionGone` when it cannot be told any more what happened since.
    package func start(after revision: Int?) throws(Refusal) -> WatchStart {
        let (start, oldest, newest) = state.withLock { state -> (WatchStart?, Int, Int) in
            let changes = state.changes
            let known = changes.forgotten.revision...state.snapshot.revision
            guard let revision else {
                let place = WatchPlace(sequence: 0, unconcernedUpTo: changes.sequence)
                let start = WatchStart(place: place, revision: nil, snapshot: state.snapshot, changed: [], removed: [])
                return (start, known.lowerBound, known.upperBound)
            }
            guard known.contains(revision) else { return (nil, known.lowerBound, known.upperBound) }
            let place = WatchPlace(
                sequence: changes.place(before: revision), unconcernedUpTo: changes.forgotten.sequence)
            let start = WatchStart(
                place: place, revision: revision, snapshot: state.snapshot,
                changed: changes.identifiers(after: place.sequence), removed: changes.removed(after: revision))
            return (start, known.lowerBound, known.upperBound)
        }
        if let start { return start }
        throw .resourceVersionGone(found: revision ?? 0, oldest: oldest, newest: newest)
    }

    package func next(after place: WatchPlace) -> NextChange {
        state.withLock { state in
            let changes = state.changes
            guard changes.forgotten.sequence <= max(place.sequence, place.unconcernedUpTo) else { return .forgotten }
            guard let change = changes.first(after: place.sequence),
                let view = change.last ?? state.snapshot.devices[change.name]
            else { return .nothing(revision: state.snapshot.revision) }
            return .change(change, view)
        }
    }
}
