import Foundation
import TapCore
import TestSupport
import Testing

/// The model of the queues' order, held against the kernel: packets to each kernel index arrive at the descriptor that
/// the model names.
@Suite(.privileged) struct QueueOrderKernelTests {
    private static let queuesMax = 8
    private static let steps = 300
    /// As on a device with a VMM: half of them attached, most of the time.
    private static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["TAPSTER_TEST_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3, 4]

    private enum Change: CaseIterable { case open, attach, detach, close }

    @Test(arguments: seeds)
    func packetsArriveWhereTheModelSays(seed: UInt64) async throws {
        try await inNamespace {
            try run("ip", "tuntap", "add", "dev", "web0", "mode", "tap", "multi_queue", "vnet_hdr")
            try run("tc", "qdisc", "replace", "dev", "web0", "root", "noqueue")
            try run("ip", "link", "set", "web0", "up")
            let index = try #require(try Interface("web0")?.index)
            var generator = SeededGenerator(seed: seed)
            // Each opening has a number of its own; closed ones are gone from here.
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
                    // What is attached already stays where it is.
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
