internal import Foundation

/// The one thread on which users' writes wait for the disk, so that no connection's thread does.
final class WriteQueue: @unchecked Sendable {
    // Unchecked: `waiting` and `isStopping` are only touched while `condition` is locked.

    /// Writes that wait; above it a request is told to come again.
    static let waitingMax = 256

    private let condition = NSCondition()
    private var waiting: [@Sendable () -> Void] = []
    private var isStopping = false
    private let ended = DispatchSemaphore(value: 0)

    init() {
        let thread = Thread { [self] in
            run()
            ended.signal()
        }
        thread.name = "tapster-writer"
        thread.start()
    }

    /// - Returns: False when too many wait.
    func add(_ write: @escaping @Sendable () -> Void) -> Bool {
        condition.withLock {
            guard !isStopping, waiting.count < Self.waitingMax else { return false }
            waiting.append(write)
            condition.signal()
            return true
        }
    }

    /// Finishes what waits, and ends.
    func stop() {
        condition.withLock {
            isStopping = true
            condition.signal()
        }
        ended.wait()
    }

    private func run() {
        while let batch = next() {
            for write in batch { write() }
        }
    }

    private func next() -> [@Sendable () -> Void]? {
        condition.withLock {
            while waiting.isEmpty, !isStopping { condition.wait() }
            defer { waiting = [] }
            return waiting.isEmpty ? nil : waiting
        }
    }
}
