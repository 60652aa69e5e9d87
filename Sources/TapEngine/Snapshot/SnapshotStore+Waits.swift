internal import Synchronization
internal import TapCore
internal import TapSystem

extension SnapshotStore {
    /// Calls back once: when all goals are reached, perhaps at once, when one of them cannot be reached any more, or
    /// when the time is over.
    package func wait(
        for goals: [DeviceName: Waiters.Goal], atMost time: Duration,
        completion: @escaping @Sendable (Snapshot, _ isReached: Bool) -> Void
    ) {
        let waiter = Waiters.Waiter(goals, deadline: .now + time, completion: completion)
        let (snapshot, isReached) = state.withLock { state in
            (state.snapshot, state.waiters.park(waiter, in: state.snapshot))
        }
        if let isReached { completion(snapshot, isReached) } else { setTimer() }
    }

    /// Calls back all who wait, and all who come to wait from here on: what they have written is kept, whoever sees to
    /// it.
    func endWaits() {
        let (waiters, snapshot) = state.withLock { ($0.waiters.end(), $0.snapshot) }
        for waiter in waiters { waiter.completion(snapshot, false) }
    }

    /// Called when the timer has run out.
    func endOverdueWaits() {
        let (overdue, snapshot) = state.withLock { ($0.waiters.takeOverdue(at: .now), $0.snapshot) }
        for waiter in overdue { waiter.completion(snapshot, false) }
        setTimer()
    }

    /// One timer for all, set to the earliest deadline.
    private func setTimer() {
        state.withLock { state in
            if let earliest = state.waiters.earliestDeadline { timer.schedule(at: earliest) }
        }
    }
}
