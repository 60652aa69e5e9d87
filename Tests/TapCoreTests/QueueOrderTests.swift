import TapCore
import TestSupport
import Testing

@Suite struct QueueOrderTests {
    /// The kernel's array of queues, as in `drivers/net/tun.c`.
    private struct Array8: Hashable {
        var queues: [Int] = []

        mutating func toggle(_ queue: Int) {
            guard let index = queues.firstIndex(of: queue) else { return queues.append(queue) }
            queues[index] = queues[queues.count - 1]
            queues.removeLast()
        }
    }

    private static func order(_ queues: some Sequence<Int>) -> QueueOrder<Int> {
        let queues = Array(queues)
        return QueueOrder(attached: Set(queues), order: queues)
    }

    // MARK: Examples

    @Test func aDetachMovesTheLastQueueAndAnAttachAppends() {
        var order = QueueOrder<Int>()
        for queue in 0..<4 { order.attach(queue) }
        #expect(order.known == [0, 1, 2, 3])
        order.detach(1)
        #expect(order.known == [0, 3, 2])
        order.attach(1)
        #expect(order.known == [0, 3, 2, 1])
        order.detach(0)
        #expect(order.known == [1, 3, 2])
        #expect([0, 1, 2, 3].map(order.kernelIndex) == [nil, 0, 2, 1])
        #expect(order.attached == [1, 2, 3])
    }

    @Test func lastInFirstOutMovesNothing() {
        var order = Self.order(0..<4)
        for queue in [3, 2] { order.detach(queue) }
        for queue in [2, 3] { order.attach(queue) }
        #expect(order.known == [0, 1, 2, 3])
    }

    @Test func repeatedEventsChangeNothing() {
        var order = Self.order(0..<3)
        let before = order
        order.attach(0)
        order.detach(7)
        order.notice(attached: [0, 1, 2])
        #expect(order == before)
        order.detach(0)
        order.detach(0)
        #expect(order.known == [2, 1])
    }

    @Test func aSingleQueueHasIndexZero() {
        var order = Self.order(0..<3)
        order.lose()
        #expect(order.known == nil && order.attached == [0, 1, 2])
        #expect(order.kernelIndex(of: 0) == nil)
        order.detach(0)
        #expect(order.known == nil)
        order.detach(1)
        #expect(order.known == [2])
        order.attach(5)
        #expect(order.known == [2, 5])
    }

    @Test func aLostOrderStaysLost() {
        var order = Self.order(0..<3)
        order.lose()
        order.attach(3)
        order.notice(attached: [0, 1, 2, 3, 4])
        #expect(order.known == nil && order.attached == [0, 1, 2, 3, 4])
    }

    /// Queues of other processes may be before or behind ours.
    @Test func besideOtherProcessesNoIndexIsKnown() {
        var order = Self.order(0..<2)
        order.notice(foreignQueues: true)
        #expect(order.known == nil && order.attached == [0, 1])
        order.detach(1)
        #expect(order.known == nil)
        order.attach(1)
        order.notice(attached: [0])
        order.lose()
        #expect(order.known == nil)
        order.notice(foreignQueues: false)
        #expect(order.known == [0])
        order.attach(1)
        #expect(order.known == [0, 1])
        order.notice(foreignQueues: false)
        #expect(order.known == [0, 1])
        order.notice(foreignQueues: true)
        order.notice(foreignQueues: false)
        #expect(order.known == nil)
    }

    @Test func anOrderThatDoesNotMatchIsIgnored() {
        #expect(QueueOrder(attached: [0, 1], order: [0, 2]).known == nil)
        #expect(QueueOrder(attached: [0, 1], order: [0]).known == nil)
        #expect(QueueOrder(attached: [0, 1], order: nil).known == nil)
        #expect(QueueOrder(attached: [0, 1], order: [1, 0]).known == [1, 0])
        #expect(QueueOrder(attached: [0], order: nil).known == [0])
        #expect(QueueOrder<Int>(attached: [], order: nil).known == [])
    }

    /// The set of queues matches, but one of them occurs twice.
    @Test func aQueueInTwoPlacesIsIgnored() {
        #expect(QueueOrder(attached: [0, 1], order: [0, 1, 0]).known == nil)
    }

    // MARK: Properties

    @Test(arguments: 0..<50 as Range<UInt64>)
    func itFollowsTheKernel(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var (order, kernel) = (QueueOrder<Int>(), Array8())
        for step in 0..<500 {
            let queue = Int.random(in: 0..<12, using: &generator)
            if kernel.queues.contains(queue) { order.detach(queue) } else { order.attach(queue) }
            kernel.toggle(queue)
            guard order.known == kernel.queues, order.attached == Set(kernel.queues) else {
                Issue.record("seed \(seed), step \(step): \(order) is \(kernel.queues)")
                return
            }
        }
    }

    /// Consumers toggle some queues, each once, in an unobserved sequence. The order is known afterwards exactly if all
    /// sequences result in the same one. Covers all cases with up to four attached queues and four toggles.
    @Test func theOrderIsKnownExactlyIfItIsCertain() {
        var certain = 0
        for attachedCount in 0...4 {
            for toggled in Self.subsets(of: Array(0..<attachedCount + 2)) where toggled.count <= 4 {
                let before = Array8(queues: Array(0..<attachedCount))
                var ends: Set<Array8> = []
                for sequence in Self.orders(of: toggled) {
                    var kernel = before
                    for queue in sequence { kernel.toggle(queue) }
                    ends.insert(kernel)
                }
                var order = Self.order(before.queues)
                let attached = Set(before.queues).symmetricDifference(toggled)
                order.notice(attached: attached)
                #expect(order.attached == attached)
                let isCertain = ends.count == 1
                #expect(
                    order.known == (isCertain ? ends.first?.queues : nil),
                    "\(attachedCount) queues, \(toggled) are toggled")
                certain += isCertain ? 1 : 0
            }
        }
        // The test would be worthless if the order were never certain.
        #expect(certain > 20)
    }

    private static func subsets(of queues: [Int]) -> [[Int]] {
        queues.reduce([[]]) { subsets, queue in subsets + subsets.map { $0 + [queue] } }
    }

    private static func orders(of queues: [Int]) -> [[Int]] {
        guard queues.count > 1 else { return [queues] }
        return queues.flatMap { first in orders(of: queues.filter { $0 != first }).map { [first] + $0 } }
    }

    /// Changes by Tapster and, observed late, by consumers: a known order is the kernel's.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func aKnownOrderIsCorrect(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var (order, kernel) = (QueueOrder<Int>(), Array8())
        var wasKnown = 0
        for step in 0..<500 {
            // What consumers have toggled before the next observation, none of it twice.
            let others = (0..<8).shuffled(using: &generator).prefix(Int.random(in: 0...2, using: &generator))
            for queue in others { kernel.toggle(queue) }
            order.notice(attached: Set(kernel.queues))
            let ours = Int.random(in: 0..<8, using: &generator)
            if kernel.queues.contains(ours) { order.detach(ours) } else { order.attach(ours) }
            kernel.toggle(ours)
            guard order.attached == Set(kernel.queues), order.known == nil || order.known == kernel.queues else {
                Issue.record("seed \(seed), step \(step): \(order) is \(kernel.queues)")
                return
            }
            if order.known != nil { wasKnown += 1 } else { order = Self.order(kernel.queues) }
        }
        #expect(wasKnown > 100 && wasKnown < 500)
    }
}
