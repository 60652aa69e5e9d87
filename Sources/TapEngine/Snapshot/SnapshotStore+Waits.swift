internal import Synchronization
internal import TapCore
internal import TapSystem

extension SnapshotStore {
    /// Calls `completion` once: when all goals are reached (possibly at once), when one can no longer be reached, or
    /// after `time`.
    func wait(
        for goals: [DeviceName: Waiters.Goal], atMost time: Duration,
        completion: @escaping @Sendable (Snapshot, _ isReached: Bool) -> Void
    ) {
        let waiter = Waiters.Waiter(goals, deadline: .now + time, completion: completion)
        let (snapshot, isReached) = state.withLock { state in
            (state.snapshot, state.waiters.park(waiter, in: state.snapshot))
        }
        if let isReached { completion(snapshot, isReached) } else { setTimer() }
    }

    /// Ends all waits, and later ones at once, with `isReached` false. Their writes are kept.
    func endWaits() {
        let (waiters, snapshot) = state.withLock { ($0.waiters.end(), $0.snapshot) }
        for waiter in waiters { waiter.completion(snapshot, false) }
    }

    /// Ends the waits whose deadline has passed. Called by the timer.
    func endOverdueWaits() {
        let (overdue, snapshot) = state.withLock { ($0.waiters.removeOverdue(at: .now), $0.snapshot) }
        for waiter in overdue { waiter.completion(snapshot, false) }
        setTimer()
    }

    /// Sets the timer, which all waits share, to the earliest deadline.
    private func setTimer() {
        state.withLock { state in
            if let earliest = state.waiters.earliestDeadline { timer.schedule(at: earliest) }
        }
    }
}
