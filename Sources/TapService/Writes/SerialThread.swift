internal import Foundation
internal import TapHTTP

/// A named thread of its own for work that waits for the disk: it takes what waits, all at once, in the order in which it
/// came.
final class SerialThread<Item: Sendable>: @unchecked Sendable {
    // Unchecked: `waiting` and `isStopping` are only touched while `condition` is locked.

    private let waitingMax: Int
    private let condition = NSCondition()
    private var waiting: [Item] = []
    private var isStopping = false
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - name: The thread's; see `ThreadName`.
    ///   - waitingMax: Above it nothing is taken.
    ///   - work: Called on the thread, with at least one.
    init(_ name: String, waitingMax: Int, work: @escaping @Sendable ([Item]) -> Void) {
        self.waitingMax = waitingMax
        let thread = Thread { [self] in
            ThreadName.set(name)
            while let items = next() { work(items) }
            ended.signal()
        }
        thread.start()
    }

    /// - Returns: False when too many wait, or the thread ends.
    func add(_ item: Item) -> Bool {
        condition.withLock {
            guard !isStopping, waiting.count < waitingMax else { return false }
            waiting.append(item)
            condition.signal()
            return true
        }
    }

    /// Finishes what waits, and ends.
    func stop() {
        finish()
        ended.wait()
    }

    /// Has it finish what waits and end, and does not wait for that.
    func finish() {
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
