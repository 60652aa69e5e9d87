internal import Synchronization
internal import TapDocument
internal import TapStore

/// Events of the worker that the writer's thread writes, so that the worker waits neither for the disk nor for the
/// writer. Events that wait share a transaction.
final class EventQueue: Sendable {
    private struct State {
        /// Not yet in the database, oldest first.
        var waiting: [EventRecord] = []
        var isWriting = false
    }

    private let state = Mutex(State())
    private let writes: WriteQueue

    init(_ writes: WriteQueue) {
        self.writes = writes
    }

    /// Adds events, and has those that wait written unless they are being written. Without events it repeats a write
    /// that has failed.
    func add(_ events: [EventRecord]) {
        let begins = state.withLock { state in
            // The database keeps no more than that either.
            state.waiting += events.prefix(max(0, HistoryLimits.eventsMax - state.waiting.count))
            guard !state.isWriting, !state.waiting.isEmpty else { return false }
            state.isWriting = true
            return true
        }
        if begins { write() }
    }

    private func write() {
        let isAccepted = writes.add(
            WriteQueue.Write { [self] (group) throws(Refusal) in
                let events = state.withLock { $0.waiting }
                for event in events { group.record(event) }
                return { [self] in
                    let isMoreWaiting = state.withLock { state in
                        state.waiting.removeFirst(events.count)
                        state.isWriting = !state.waiting.isEmpty
                        return state.isWriting
                    }
                    if isMoreWaiting { write() }
                }
            } fail: { [self] _ in
                state.withLock { $0.isWriting = false }
            })
        if !isAccepted { state.withLock { $0.isWriting = false } }
    }

    /// Writes the events that still wait, after the writer's thread has ended.
    ///
    /// - Throws: `StoreError`.
    func finish(_ store: Store) throws(StoreError) {
        let events = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        guard !events.isEmpty else { return }
        try store.record(durably: true) { transaction in try transaction.append(events) }
    }
}
