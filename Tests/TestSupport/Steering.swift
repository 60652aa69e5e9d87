import CLinux
import Foundation
import Glibc
import Steering
import Synchronization

/// Sends frames to the queues of one tap, each to a queue of the test's choice.
public final class SteeredFrames {
    private let socket: Int32
    private var number: UInt32 = 0

    /// IEEE 802 has set it aside for experiments.
    private static let etherType: [UInt8] = [0x88, 0xB5]
    private static let headerBytes = 14
    private static let attemptsMax = 200

    /// - Parameters:
    ///   - index: The interface.
    ///   - namespace: The path of its network namespace; nothing is the calling thread's.
    ///   - queue: A queue of it, by which the device gets its steering program.
    /// - Throws: `TestFailure` without the capabilities for both.
    public init(to index: Int, in namespace: String? = nil, by queue: Consumer) throws {
        socket = try inNetwork(namespace) { steering_open(Int32(index)) }
        guard socket >= 0 else { throw TestFailure("packet socket: \(String(cString: strerror(errno)))") }
        guard steering_by_mark(queue.descriptor) == 0 else {
            throw TestFailure("steering program: \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        close(socket)
    }

    /// One frame to the queue that the kernel has at this index.
    ///
    /// - Returns: The frame's number, by which it is known again.
    public func send(to kernelIndex: Int) throws -> UInt32 {
        number += 1
        // To nobody's address, from nobody's.
        var frame: [UInt8] = [0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01] + Self.etherType
        frame += withUnsafeBytes(of: number.bigEndian) { Array($0) } + [UInt8](repeating: 0, count: 46)
        guard steering_send(socket, UInt32(kernelIndex), frame, frame.count) == 0 else {
            throw TestFailure("send: \(String(cString: strerror(errno)))")
        }
        return number
    }

    /// The number of one of our frames; nothing for what the host sends by itself.
    static func number(of frame: ArraySlice<UInt8>) -> UInt32? {
        guard frame.count >= headerBytes + 4, Array(frame.dropFirst(12).prefix(2)) == etherType else { return nil }
        return frame.dropFirst(headerBytes).prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }

    /// Sends a frame to each kernel index, and looks where it comes out.
    ///
    /// - Parameters:
    ///   - queues: All that may get one, by whatever they are called.
    ///   - count: How many queues are attached.
    /// - Returns: By kernel index, whose frame it was; nothing where nobody had got it.
    /// - Throws: `TestFailure` when the device is down, or a frame came out twice.
    public func order<Name: Hashable>(of queues: [Name: Consumer], count: Int) throws -> [Name?] {
        for queue in queues.values { _ = queue.receive() }
        var order: [Name?] = []
        for index in 0..<count {
            // A carrier that has just come lets packets through a little later.
            var receivers: [Name] = []
            for _ in 0..<Self.attemptsMax where receivers.isEmpty {
                let number = try send(to: index)
                receivers = queues.filter { $0.value.receive().contains(number) }.map(\.key)
                if receivers.isEmpty { usleep(10_000) }
            }
            guard receivers.count <= 1 else { throw TestFailure("one frame came to \(receivers)") }
            order.append(receivers.first)
        }
        return order
    }
}

/// Runs `body` in another network namespace, and comes back.
public func inNetwork<Value>(_ path: String?, _ body: () throws -> Value) throws -> Value {
    guard let path else { return try body() }
    let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    let away = open(path, O_RDONLY | O_CLOEXEC)
    defer {
        close(home)
        close(away)
    }
    guard clinux_enter_network(away) == 0 else {
        throw TestFailure("enter \(path): \(String(cString: strerror(errno)))")
    }
    defer { _ = clinux_enter_network(home) }
    return try body()
}

/// Frames that do not cease: a thread sends one to each of the kernel's queues in turn, and reads what comes out.
public final class SteadyFrames {
    private let flow: Flow

    /// Begins.
    ///
    /// - Parameters:
    ///   - frames: Sends them, and is this object's alone from now on.
    ///   - queues: All that are attached. They are this object's alone until it has ended.
    ///   - milliseconds: The pace.
    public init(_ frames: SteeredFrames, to queues: [Consumer], every milliseconds: UInt32) {
        flow = Flow(frames, queues)
        Thread.detachNewThread { [flow] in flow.run(every: milliseconds) }
    }

    deinit {
        flow.end()
    }

    /// How many have come out so far.
    public var received: Int { flow.state.withLock(\.received.count) }

    /// Ends, when the last ones have had their time.
    ///
    /// - Returns: How many were sent, and the numbers of those that came out nowhere.
    /// - Throws: `TestFailure` when one could not be sent.
    public func finish() throws -> (sent: Int, lost: [UInt32]) {
        flow.end()
        let state = flow.state.withLock { $0 }
        if let failure = state.failure { throw failure }
        return (state.sent.count, state.sent.subtracting(state.received).sorted())
    }
}

/// What the sending thread shares with the object that ends it.
private final class Flow: @unchecked Sendable {
    // Unchecked: frames and queues are the thread's alone.
    struct State {
        var sent: Set<UInt32> = []
        var received: Set<UInt32> = []
        var failure: TestFailure?
        var isEnding = false
    }

    let state = Mutex(State())
    private let hasEnded = DispatchSemaphore(value: 0)
    private let frames: SteeredFrames
    private let queues: [Consumer]

    init(_ frames: SteeredFrames, _ queues: [Consumer]) {
        self.frames = frames
        self.queues = queues
    }

    /// Waits until the thread has ended.
    func end() {
        state.withLock { $0.isEnding = true }
        hasEnded.wait()
        // For another one who asks.
        hasEnded.signal()
    }

    func run(every milliseconds: UInt32) {
        var index = 0
        do {
            while !state.withLock(\.isEnding) {
                let number = try frames.send(to: index % queues.count)
                index += 1
                state.withLock { _ = $0.sent.insert(number) }
                receive()
                usleep(milliseconds * 1_000)
            }
            usleep(100_000)
            receive()
        } catch {
            state.withLock { $0.failure = TestFailure("\(error)") }
        }
        hasEnded.signal()
    }

    private func receive() {
        for queue in queues {
            let numbers = queue.receive()
            state.withLock { $0.received.formUnion(numbers) }
        }
    }
}
