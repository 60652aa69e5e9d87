internal import Foundation

/// A named thread for blocking work. It takes all waiting items at once, in the order in which they were added.
public final class SerialThread<Item: Sendable>: @unchecked Sendable {
    // Unchecked: `waiting` and `isStopping` are only touched while `condition` is locked.

    private let name: String
    private let waitingMax: Int
    private let work: @Sendable ([Item]) -> Void
    private let condition = NSCondition()
    private var waiting: [Item] = []
    private var isStopping = false
    private var isStarted = false
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - name: The thread's; see `NamedThread`.
    ///   - waitingMax: The most waiting items.
    ///   - work: Called on the thread, with at least one item.
    public init(_ name: String, waitingMax: Int, work: @escaping @Sendable ([Item]) -> Void) {
        self.name = name
        self.waitingMax = waitingMax
        self.work = work
    }

    /// Starts the thread. Items that were added before have waited.
    ///
    /// - Throws: `ThreadFailure` if the thread cannot be started.
    public func start() throws(ThreadFailure) {
        try NamedThread.start(name) { [self] in
            while let items = next() { work(items) }
            ended.signal()
        }
        condition.withLock { isStarted = true }
    }

    /// Adds an item without waiting.
    ///
    /// - Returns: False if `waitingMax` items wait, or after `stop` or `finish`; the item is not added then.
    public func add(_ item: Item) -> Bool {
        condition.withLock {
            guard !isStopping, waiting.count < waitingMax else { return false }
            waiting.append(item)
            condition.signal()
            return true
        }
    }

    /// Processes the waiting items, ends the thread and waits for its end. If the thread was never started, the items
    /// are dropped.
    public func stop() {
        finish()
        if condition.withLock({ isStarted }) { ended.wait() }
    }

    /// As `stop`, but waits for a limited time.
    public func stop(within time: Duration) {
        finish()
        if condition.withLock({ isStarted }) { _ = ended.wait(timeout: .now() + .milliseconds(time.milliseconds)) }
    }

    /// As `stop`, but does not wait.
    public func finish() {
        condition.withLock {
            isStopping = true
            condition.signal()
        }
    }

    private func next() -> [Item]? {
        condition.withLock {
            while waiting.isEmpty, !isStopping { condition.wait() }
            defer { waiting = [] }
            return waiting.isEmpty ? nil : waiting
        }
    }
}
