internal import TapCore

/// Finds which stray queues have been there for a second. Others are of the moment: a consumer that replaces another,
/// or the service manager's copies of an ended lease's queues, which it closes a little after Tapster's own.
struct StrayWatch {
    private static let windowMilliseconds = 1_000
    /// The least time between two events of one device that say that there are stray queues.
    private static let eventSeconds = 60

    private struct Entry {
        let index: LinkIndex
        /// When the window began in which `fewest` and `mostAttached` were seen.
        var begin: ContinuousClock.Instant
        var fewest: Int
        var mostAttached: Int
        /// What stayed over the last window; `nil` if nothing did.
        var lasting: StrayQueues?
    }

    private var entries: [DeviceName: Entry] = [:]
    /// When an event last said that a device has stray queues, by whether some were attached.
    private var toldAt: [DeviceName: [Bool: ContinuousClock.Instant]] = [:]
    /// Devices of which an event has said so, and none yet that they are gone.
    private var told: Set<DeviceName> = []

    /// Whether stray queues were seen when the device was last looked at, or a second before.
    func isWatched(_ name: DeviceName) -> Bool { entries[name] != nil }

    /// The interface with stray queues that last; `nil` if the device has none.
    func interface(of name: DeviceName) -> LinkIndex? { entries[name].flatMap { $0.lasting == nil ? nil : $0.index } }

    /// Notes what a look at the device's interface has found.
    ///
    /// - Returns: The stray queues that last; `nil` if there are none.
    mutating func note(
        _ found: StrayQueues, of name: DeviceName, at index: LinkIndex, now: ContinuousClock.Instant
    ) -> StrayQueues? {
        guard found.count > 0 || entries[name] != nil else { return nil }
        var entry = Entry(index: index, begin: now, fewest: found.count, mostAttached: found.attached)
        if let old = entries[name], old.index == index { entry = old }
        entry.fewest = min(entry.fewest, found.count)
        entry.mostAttached = max(entry.mostAttached, found.attached)
        if entry.begin.duration(to: now) >= .milliseconds(Self.windowMilliseconds) {
            let attached = min(entry.fewest, entry.mostAttached)
            entry.lasting =
                entry.fewest == 0 ? nil : StrayQueues(attached: attached, detached: entry.fewest - attached)
            (entry.begin, entry.fewest, entry.mostAttached) = (now, found.count, found.attached)
        }
        entries[name] = entry.lasting == nil && found.count == 0 ? nil : entry
        return entry.lasting
    }

    /// Whether to record an event that the device has stray queues now, or now attached ones; at most one of each in
    /// `eventSeconds`, since their holder could make them come and go.
    mutating func beginTelling(_ name: DeviceName, areAttached: Bool, now: ContinuousClock.Instant) -> Bool {
        if let last = toldAt[name]?[areAttached], last.duration(to: now) < .seconds(Self.eventSeconds) { return false }
        toldAt[name, default: [:]][areAttached] = now
        told.insert(name)
        return true
    }

    /// Whether to record an event that they are gone: if one has said that they were there.
    mutating func endTelling(_ name: DeviceName) -> Bool { told.remove(name) != nil }

    /// Forgets a device that has no interface.
    ///
    /// - Returns: Whether it had stray queues.
    mutating func forget(_ name: DeviceName) -> Bool {
        toldAt[name] = nil
        told.remove(name)
        return entries.removeValue(forKey: name) != nil
    }
}
