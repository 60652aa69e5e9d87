import Foundation
import TapCore
import TestSupport
import Testing

/// Compares the model of the queues' order with the kernel: packets sent to each kernel index arrive at the descriptor
/// that the model predicts.
@Suite(.privileged) struct QueueOrderKernelTests {
    private static let queuesMax = 8
    private static let steps = 300
    private static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["TAPSTER_TEST_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3, 4]

    /// Equally likely, so that about half of the queues are attached most of the time, as on a device with a VMM.
    private enum Change: CaseIterable { case open, attach, detach, close }

    @Test(arguments: seeds)
    func packetsArriveWhereTheModelSays(seed: UInt64) async throws {
        try await inNamespace {
            try run("ip", "tuntap", "add", "dev", "web0", "mode", "tap", "multi_queue", "vnet_hdr")
            try run("tc", "qdisc", "replace", "dev", "web0", "root", "noqueue")
            try run("ip", "link", "set", "web0", "up")
            let index = try #require(try Interface("web0")?.index)
            var generator = SeededGenerator(seed: seed)
            // The open queues; each opened queue has a number of its own.
            var queues: [Int: Consumer] = [:]
            var order = QueueOrder<Int>()
            var opened = 0
            func open() throws {
                queues[opened] = try Consumer("web0")
                order.attach(opened)
                opened += 1
            }
            for _ in 0..<Self.queuesMax { try open() }
            let frames = try SteeredFrames(to: index, by: try #require(queues[0]))

            var trace: [String] = []
            var longest = 0
            for step in 0..<Self.steps {
                let change = Change.allCases.randomElement(using: &generator) ?? .attach
                let queue = queues.keys.sorted().randomElement(using: &generator)
                switch (change, queue) {
                case (.open, _) where queues.count < Self.queuesMax: try open()
                case (.attach, let queue?):
                    // A queue that is attached already keeps its position.
                    let isNew = queues[queue]?.attach() == true
                    #expect(isNew == !order.attached.contains(queue))
                    order.attach(queue)
                case (.detach, let queue?):
                    let isNew = queues[queue]?.detach() == true
                    #expect(isNew == order.attached.contains(queue))
                    order.detach(queue)
                case (.close, let queue?):
                    queues[queue] = nil
                    order.detach(queue)
                default: continue
                }
                trace.append("\(change) \(queue ?? opened)")
                let expected = try #require(order.known)
                longest = max(longest, expected.count)
                let found = try frames.order(of: queues, count: expected.count)
                guard found == expected else {
                    throw TestFailure("seed \(seed), step \(step), \(trace.suffix(8)): \(expected), but \(found)")
                }
                for (queue, consumer) in queues {
                    #expect(consumer.isAttached == order.attached.contains(queue))
                }
            }
            #expect(longest >= Self.queuesMax - 2 && opened > 2 * Self.queuesMax)
        }
    }
}
