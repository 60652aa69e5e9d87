package import TapCore
internal import TapStore

/// Devices in the order of their last changes: each device once, and the recently removed ones. Not a log: a slow
/// reader sees each device's newest version, and the length does not depend on readers.
package struct ChangeList: Sendable {
    /// The last change of a device, or its removal.
    package struct Change: Sendable {
        /// The position in the order; increases by one with each change.
        package let sequence: UInt64
        /// The database's revision at that time. Status is not stored, so a change of status has no revision of its
        /// own.
        package let revision: Int
        /// The device's name.
        package let name: DeviceName
        /// The device's `uid`.
        package let identifier: DeviceIdentifier
        /// The last version of a removed device; `nil` if the device exists.
        package let last: DeviceView?
    }

    /// The most removed devices that are kept.
    package static let removalsMax = 4_096
    /// The most superseded entries before they are dropped, if there are fewer devices than this.
    static let outdatedMax = 1_024

    private var changes: [Change] = []
    private var newest: [DeviceIdentifier: UInt64] = [:]
    private var removals = 0
    /// The sequence number of the last change.
    package private(set) var sequence: UInt64 = 0
    /// The newest removal that is no longer kept.
    package private(set) var forgotten: (sequence: UInt64, revision: Int)

    /// - Parameter revision: The database's revision at the start. Earlier changes are not known.
    init(revision: Int = 0) {
        forgotten = (0, revision)
    }

    /// The number of entries, for tests.
    package var count: Int { changes.count }

    /// Adds the change of a device.
    package mutating func note(_ view: DeviceView, revision: Int) {
        append(view, revision: revision, isGone: false)
        newest[view.record.identifier] = sequence
        compact()
    }

    /// Adds the removal of a device.
    mutating func noteRemoval(_ view: DeviceView, revision: Int) {
        append(view, revision: revision, isGone: true)
        newest[view.record.identifier] = nil
        removals += 1
        compact()
    }

    /// The first entry after a position that is not superseded.
    package func first(after sequence: UInt64) -> Change? {
        changes[index { $0.sequence > sequence }...].first { !isOutdated($0) }
    }

    /// The position before the first change of this revision or a later one.
    package func place(before revision: Int) -> UInt64 {
        let index = index { $0.revision >= revision }
        return index < changes.count ? changes[index].sequence - 1 : sequence
    }

    /// Devices with an entry after a position that is not superseded.
    func identifiers(after sequence: UInt64) -> Set<DeviceIdentifier> {
        Set(changes[index { $0.sequence > sequence }...].lazy.filter { !isOutdated($0) }.map(\.identifier))
    }

    /// The last versions of devices that were removed after this revision.
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

    /// The first index for which `isBehind` is true; binary search.
    private func index(where isBehind: (Change) -> Bool) -> Int {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(changes[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Drops superseded entries once they are the majority, and the oldest quarter of the removals once there are too
    /// many: amortized constant time per change.
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
