internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapStore
internal import TapSystem

/// Parked requests. Each waits until goals of some devices are reached, or until a deadline.
///
/// Part of `SnapshotStore.State`, protected by its lock. It calls no completions itself, but returns the waiters that
/// are done.
package struct Waiters {
    /// The most parked requests; above it a request with `wait` is answered at once. Each holds a connection, so the
    /// limit is below that of connections, to leave some for other requests.
    static let countMax = 256

    /// What a parked request waits for.
    package enum Goal: Sendable {
        /// The device is Ready in this generation or a later one, or all that differs is drift that is only reported.
        case ready(generation: Int)
        /// The device no longer exists.
        case gone
    }

    struct Waiter {
        let goals: [DeviceName: Goal]
        /// Devices whose goals have not been reached yet.
        fileprivate var open: Set<DeviceName>
        let deadline: ContinuousClock.Instant
        let completion: @Sendable (Snapshot, _ isReached: Bool) -> Void

        init(
            _ goals: [DeviceName: Goal], deadline: ContinuousClock.Instant,
            completion: @escaping @Sendable (Snapshot, _ isReached: Bool) -> Void
        ) {
            self.goals = goals
            open = Set(goals.keys)
            self.deadline = deadline
            self.completion = completion
        }
    }

    private var waiters: [UInt64: Waiter] = [:]
    private var identifiersByName: [DeviceName: Set<UInt64>] = [:]
    private var lastIdentifier: UInt64 = 0
    /// Whether the daemon is stopping and parks no more requests.
    private var hasEnded = false

    /// The earliest deadline of the parked requests; `nil` if there is none.
    var earliestDeadline: ContinuousClock.Instant? { waiters.values.lazy.map(\.deadline).min() }

    /// Parks a request.
    ///
    /// - Returns: `nil` if it is parked. Otherwise whether its goals are reached: false if they no longer can be, or if
    ///   it cannot be parked. Its completion is not called.
    mutating func park(_ waiter: Waiter, in snapshot: Snapshot) -> Bool? {
        var waiter = waiter
        if let isReached = waiter.look(at: Array(waiter.goals.keys), in: snapshot) { return isReached }
        guard !hasEnded, waiters.count < Self.countMax else { return false }
        lastIdentifier += 1
        waiters[lastIdentifier] = waiter
        for name in waiter.open { identifiersByName[name, default: []].insert(lastIdentifier) }
        return nil
    }

    /// Removes the waiters that are done.
    ///
    /// - Parameters:
    ///   - names: The devices that have changed.
    ///   - snapshot: The snapshot after the change.
    /// - Returns: The removed waiters: with true if their goals are reached, with false if they no longer can be.
    mutating func removeReached(
        _ names: [DeviceName], in snapshot: Snapshot
    ) -> [(waiter: Waiter, isReached: Bool)] {
        if waiters.isEmpty { return [] }
        var namesByWaiter: [UInt64: [DeviceName]] = [:]
        for name in names { for id in identifiersByName[name] ?? [] { namesByWaiter[id, default: []].append(name) } }
        var reached: [(waiter: Waiter, isReached: Bool)] = []
        for (id, names) in namesByWaiter {
            guard let isReached = waiters[id]?.look(at: names, in: snapshot), let waiter = remove(id) else { continue }
            reached.append((waiter, isReached))
        }
        return reached
    }

    /// Removes the waiters whose deadline has passed.
    mutating func removeOverdue(at now: ContinuousClock.Instant) -> [Waiter] {
        waiters.filter { $0.value.deadline <= now }.keys.compactMap { remove($0) }
    }

    /// Removes all waiters; no more are parked from here on.
    mutating func end() -> [Waiter] {
        hasEnded = true
        return waiters.keys.compactMap { remove($0) }
    }

    private mutating func remove(_ id: UInt64) -> Waiter? {
        guard let waiter = waiters.removeValue(forKey: id) else { return nil }
        for name in waiter.goals.keys {
            identifiersByName[name]?.remove(id)
            if identifiersByName[name]?.isEmpty == true { identifiersByName[name] = nil }
        }
        return waiter
    }
}

extension Waiters.Waiter {
    /// Marks the reached goals; `nil` while the others may still be reached. A device that was ready once counts as
    /// reached, even if it is no longer ready at the end.
    fileprivate mutating func look(at names: [DeviceName], in snapshot: Snapshot) -> Bool? {
        for name in names where open.contains(name) {
            switch goals[name]?.isReached(by: snapshot.devices[name]) {
            case true?: open.remove(name)
            case false?: return false
            case nil: break
            }
        }
        return open.isEmpty ? true : nil
    }
}

extension Waiters.Goal {
    /// Whether the goal is reached; `nil` while it may still be, false if the device was deleted before it was ready.
    package func isReached(by view: DeviceView?) -> Bool? {
        switch self {
        case .ready(let generation):
            guard let view else { return false }
            guard view.status.observedGeneration >= generation else { return nil }
            // What is left is drift that the device's policy leaves as it is.
            let isReported = view.status[.ready]?.reason == EventReason.driftReported.rawValue
            let isApplied = view.phase == .degraded && isReported && view.record.settledGeneration >= generation
            return view.phase == .ready || isApplied ? true : nil
        case .gone: return view == nil ? true : nil
        }
    }
}
