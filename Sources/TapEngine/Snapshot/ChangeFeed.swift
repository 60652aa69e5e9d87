internal import HashTreeCollections
internal import Synchronization
package import TapCore
package import TapDocument
internal import TapStore

/// The source of watch streams.
package protocol ChangeFeed: Sendable {
    /// The next change after a position.
    func next(after place: WatchPosition) -> NextChange
}

/// Where a watch starts.
package struct WatchStart: Sendable {
    /// The position from which to read.
    package let place: WatchPosition
    /// The last revision that the client has seen; `nil` if it has seen none.
    package let revision: Int?
    /// The snapshot that belongs to the position.
    package let snapshot: Snapshot
    /// Devices whose changes after the position will be reported.
    package let changed: Set<DeviceIdentifier>
    /// Devices removed since that revision.
    let removed: [DeviceView]

    /// The devices that the client may have seen. If a device's labels could have changed since `revision`, or before
    /// it in a change that was superseded before the client read it, assume that the client has seen the device: a
    /// superfluous DELETED is harmless, a missing one is not.
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

/// A position in the feed.
package struct WatchPosition: Sendable {
    /// The sequence number of the last change that was read.
    package var sequence: UInt64
    /// Removals up to this sequence number do not matter to this watch, even if they are no longer kept.
    let removalsIgnoredUpTo: UInt64
}

/// What follows a position.
package enum NextChange: Sendable {
    /// A device changed or was removed, with its current or its last version.
    case change(ChangeList.Change, DeviceView)
    /// There are no more changes up to this revision.
    case nothing(revision: Int)
    /// Removals that the watch should have reported are no longer kept.
    case forgotten
}
