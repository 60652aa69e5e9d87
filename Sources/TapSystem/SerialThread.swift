internal import Foundation

/// A named thread of its own for work that waits for the disk or the kernel: it takes all that waits at once, in the
/// order in which it came.
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
    ///   - waitingMax: How many items may wait.
    ///   - work: Called on the thread, with at least one item.
    public init(_ name: String, waitingMax: Int, work: @escaping @Sendable ([Item]) -> Void) {
        self.name = name
        self.waitingMax = waitingMax
        self.work = work
    }

    /// Until then, items wait.
    ///
    /// - Throws: `ThreadFailure`.
    public func start() throws(ThreadFailure) {
        try NamedThread.start(name) { [self] in
            while let items = next() { work(items) }
            ended.signal()
        }
        condition.withLock { isStarted = true }
    }

    /// - Returns: False when too many wait, or the thread ends.
    public func add(_ item: Item) -> Bool {
        condition.withLock {
            guard !isStopping, waiting.count < waitingMax else { return false }
            waiting.append(item)
            condition.signal()
            return true
        }
    }

    /// Finishes what waits, and ends. Without a start, what waits is dropped.
    public func stop() {
        finish()
        if condition.withLock({ isStarted }) { ended.wait() }
    }

    /// Has the thread finish what waits and end, and does not wait for that.
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
