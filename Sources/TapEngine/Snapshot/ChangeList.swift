package import TapCore
internal import TapStore

/// Which device changed after which: each device once, at its last change, and those that went lately. It is no log:
/// who reads it slowly sees each device's newest state, and its length does not depend on who reads.
package struct ChangeList: Sendable {
    package struct Change: Sendable {
        package let sequence: UInt64
        /// The database's when it happened. A status is not stored, so its change has no revision of its own.
        package let revision: Int
        package let name: DeviceName
        package let identifier: DeviceIdentifier
        /// What the device was, when it is gone.
        package let last: DeviceView?
    }

    /// Devices that are gone and still told of.
    package static let removalsMax = 4_096
    /// Entries of devices that have changed again, where the devices themselves are fewer.
    static let outdatedMax = 1_024

    private var changes: [Change] = []
    private var newest: [DeviceIdentifier: UInt64] = [:]
    private var removals = 0
    /// Of the last change.
    package private(set) var sequence: UInt64 = 0
    /// The last removal that is not told of any more.
    package private(set) var forgotten: (sequence: UInt64, revision: Int)

    /// - Parameter revision: The database's at the start: nothing is known of what went before.
    init(revision: Int = 0) {
        forgotten = (0, revision)
    }

    /// How many entries there are, for tests.
    package var count: Int { changes.count }

    package mutating func note(_ view: DeviceView, revision: Int) {
        append(view, revision: revision, isGone: false)
        newest[view.record.identifier] = sequence
        compact()
    }

    mutating func noteRemoval(_ view: DeviceView, revision: Int) {
        append(view, revision: revision, isGone: true)
        newest[view.record.identifier] = nil
        removals += 1
        compact()
    }

    /// The first entry behind a place that still holds.
    package func first(after sequence: UInt64) -> Change? {
        changes[index { $0.sequence > sequence }...].first { !isOutdated($0) }
    }

    /// The last place before which nothing has happened in this revision or a later one.
    package func place(before revision: Int) -> UInt64 {
        let index = index { $0.revision >= revision }
        return index < changes.count ? changes[index].sequence - 1 : sequence
    }

    /// Those that have an entry behind a place that still holds.
    func identifiers(after sequence: UInt64) -> Set<DeviceIdentifier> {
        Set(changes[index { $0.sequence > sequence }...].lazy.filter { !isOutdated($0) }.map(\.identifier))
    }

    /// The devices that went later than in this revision, as they were.
    func removed(after revision: Int) -> [DeviceView] {
        changes[index { $0.revision > revision }...].compactMap(\.last)
    }

    private mutating func append(_ view: DeviceView, revision: Int, isGone: Bool) {
        sequence += 1
        changes.append(
            Change(
                sequence: sequence, revision: revision, name: view.record.name, identifier: view.record.identifier,
                last: isGone ? view : nil))
    }

    private func isOutdated(_ change: Change) -> Bool {
        change.last == nil && newest[change.identifier] != change.sequence
    }

    /// Where `isBehind` begins to hold.
    private func index(where isBehind: (Change) -> Bool) -> Int {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(changes[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Drops what is outdated once it is the most, and the oldest quarter of the removals once they are too many: a few
    /// steps a change in the long run.
    private mutating func compact() {
        let outdated = changes.count - newest.count - removals
        guard outdated > max(Self.outdatedMax, newest.count) || removals > Self.removalsMax else { return }
        var surplus = removals > Self.removalsMax ? removals - Self.removalsMax * 3 / 4 : 0
        var kept: [Change] = []
        kept.reserveCapacity(newest.count + removals - surplus)
        removals -= surplus
        for change in changes where !isOutdated(change) {
            if change.last != nil, surplus > 0 {
                surplus -= 1
                forgotten = (change.sequence, change.revision)
            } else {
                kept.append(change)
            }
        }
        changes = kept
    }
}
