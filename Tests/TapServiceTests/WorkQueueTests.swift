import Synchronization
import TapCore
import Testing

@testable import TapService

/// What waits for the worker, and what happens when it does not come.
@Suite struct WorkQueueTests {
    private struct Nobody: Waker {
        func wake() {}
    }

    @Test func tooMuchIsRefusedButForWhatIsOwed() {
        let queue = WorkQueue(waker: Nobody())
        let done = Mutex(0)
        for _ in 0..<WorkQueue.errandsMax { #expect(queue.run { _ in done.withLock { $0 += 1 } }) }
        #expect(!queue.run { _ in Issue.record("it was refused") })
        // The end of what was begun.
        #expect(queue.run(isOwed: true) { _ in done.withLock { $0 += 1 } })
        #expect(queue.takeErrands().count == WorkQueue.errandsMax + 1)
        #expect(queue.takeErrands().isEmpty)
        #expect(queue.run { _ in done.withLock { $0 += 1 } })
        #expect(done.withLock(\.self) == 0)
        // At the end, each is told that nobody will do it, those that come later too.
        queue.end()
        #expect(done.withLock(\.self) == 1)
        #expect(queue.run { desk in done.withLock { $0 += desk == nil ? 1 : 100 } })
        #expect(done.withLock(\.self) == 2)
    }
}
