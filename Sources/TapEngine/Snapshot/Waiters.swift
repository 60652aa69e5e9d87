internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapSystem

/// Parked requests: each waits for goals of some devices, until a deadline.
///
/// A value in `SnapshotStore.State`, under its lock. It calls nothing back: it returns those who need not wait any
/// longer.
package struct Waiters {
    /// Above it a request with `wait` is answered at once.
    /// Each holds a connection, so there are fewer than connections: other requests shall get through.
    static let countMax = 256

    /// What a parked request waits for.
    package enum Goal: Sendable {
        /// Read back from the kernel and equal, in this generation or a later one.
        case ready(generation: Int)
        case gone
    }

    struct Waiter {
        let goals: [DeviceName: Goal]
        /// Devices whose goals are not reached yet.
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
    /// No request is parked any more: the daemon stops.
    private var hasEnded = false

    /// `nil` when there are none.
    var earliestDeadline: ContinuousClock.Instant? { waiters.values.lazy.map(\.deadline).min() }

    /// Parks a request.
    ///
    /// - Returns: Whether its goals are reached, when that is known at once or it cannot be parked; then it is not
    ///   called back. `nil` when it is parked.
    mutating func park(_ waiter: Waiter, in snapshot: Snapshot) -> Bool? {
        var waiter = waiter
        if let isReached = waiter.look(at: Array(waiter.goals.keys), in: snapshot) { return isReached }
        guard !hasEnded, waiters.count < Self.countMax else { return false }
        lastIdentifier += 1
        waiters[lastIdentifier] = waiter
        for name in waiter.open { identifiersByName[name, default: []].insert(lastIdentifier) }
        return nil
    }

    /// Takes out those who need not wait any longer.
    ///
    /// - Parameters:
    ///   - names: The devices that have changed.
    ///   - snapshot: After the change.
    /// - Returns: Them, and whether their goals are reached or cannot be any more.
    mutating func takeReached(
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

    /// Takes out those whose time is over.
    mutating func takeOverdue(at now: ContinuousClock.Instant) -> [Waiter] {
        waiters.filter { $0.value.deadline <= now }.keys.compactMap { remove($0) }
    }

    /// Takes out all; no other is parked from here on.
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
    /// Strikes off the goals that are reached; `nil` while some are left that may still be reached. A device that is
    /// ready stays struck off, whatever becomes of it.
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
    /// `nil` while it may still be reached; false when the device went before it was ready.
    package func isReached(by view: DeviceView?) -> Bool? {
        switch self {
        case .ready(let generation):
            guard let view else { return false }
            return view.phase == .ready && view.status.observedGeneration >= generation ? true : nil
        case .gone: return view == nil ? true : nil
        }
    }
}
