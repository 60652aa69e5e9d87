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

/// From where a watcher reads on.
package struct WatchStart: Sendable {
    package let place: WatchPlace
    /// Of what its client has seen; nothing for a client that has seen nothing.
    package let revision: Int?
    package let snapshot: Snapshot
    /// Devices that it is told of again.
    package let changed: Set<DeviceIdentifier>
    /// What went since that revision.
    let removed: [DeviceView]

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
    let unconcernedUpTo: UInt64
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
