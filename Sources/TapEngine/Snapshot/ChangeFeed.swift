internal import HashTreeCollections
internal import Synchronization
package import TapCore
package import TapDocument
internal import TapStore

/// Where watch streams read.
package protocol ChangeFeed: Sendable {
    /// The next change after a place.
    func next(after place: WatchPlace) -> NextChange
}

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

/// From where a watcher reads on.
package struct WatchStart: Sendable {
    package let place: WatchPlace
    /// Of what its client has seen; nothing for a client that has seen nothing.
    package let revision: Int?
    package let snapshot: Snapshot
    /// Devices that it is told of again.
    package let changed: Set<DeviceIdentifier>
    /// What went since that revision.
    package let removed: [DeviceView]

    /// What the client knows, or may know: of a device that changed since, nobody knows any more whether its labels
    /// matched. Nor of one whose labels changed before: that may have been passed over, since the device had changed
    /// once more by then, and its newest state, which the client has not seen, stands at that later place.
    package func known(_ selector: LabelSelector?) -> Set<DeviceIdentifier> {
        guard let revision else { return [] }
        var known: Set<DeviceIdentifier> = []
        func add(_ view: DeviceView) {
            guard view.addedIn <= revision else { return }
            let identifier = view.record.identifier
            let mayHaveMatched =
                view.record.revision >= revision || view.wasRelabelled && changed.contains(identifier)
            if mayHaveMatched || selector?.matches(view.record.labels) ?? true { known.insert(identifier) }
        }
        for view in snapshot.devices.values { add(view) }
        for view in removed { add(view) }
        return known
    }
}

/// How far a watcher has come.
package struct WatchPlace: Sendable {
    package var sequence: UInt64
    /// Removals up to here may be forgotten: they do not concern it.
    package let unconcernedUpTo: UInt64
}

/// What is behind a watcher's place.
package enum NextChange: Sendable {
    /// A device changed, or went; it is shown as it is now, or was at last.
    case change(ChangeList.Change, DeviceView)
    /// Nothing: all is told up to this revision.
    case nothing(revision: Int)
    /// Removals that it should have seen are forgotten.
    case forgotten
}
