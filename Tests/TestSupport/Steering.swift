import CLinux
import Foundation
import Glibc
import Steering
import Synchronization

/// Sends frames to the queues of one tap, each to a queue of the test's choice.
public final class SteeredFrames {
    private let socket: Int32
    private var number: UInt32 = 0

    /// An EtherType reserved by IEEE 802 for experiments.
    private static let etherType: [UInt8] = [0x88, 0xB5]
    private static let headerBytes = 14
    private static let attemptsMax = 200

    /// - Parameters:
    ///   - index: The interface index.
    ///   - namespace: The path of its network namespace; `nil` for the calling thread's.
    ///   - queue: One of its queues, through which the steering program is installed.
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

    /// Sends one frame to the queue at this kernel index.
    ///
    /// - Returns: The frame's number, which identifies it on reception.
    public func send(to kernelIndex: Int) throws -> UInt32 {
        number += 1
        // Zero destination and source addresses.
        var frame: [UInt8] = [0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01] + Self.etherType
        frame += withUnsafeBytes(of: number.bigEndian) { Array($0) } + [UInt8](repeating: 0, count: 46)
        guard steering_send(socket, UInt32(kernelIndex), frame, frame.count) == 0 else {
            throw TestFailure("send: \(String(cString: strerror(errno)))")
        }
        return number
    }

    /// The number of one of our frames; `nil` for frames that the host sends by itself.
    static func number(of frame: ArraySlice<UInt8>) -> UInt32? {
        guard frame.count >= headerBytes + 4, Array(frame.dropFirst(12).prefix(2)) == etherType else { return nil }
        return frame.dropFirst(headerBytes).prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }

    /// Sends a frame to each kernel index, and finds the queue that receives it.
    ///
    /// - Parameters:
    ///   - queues: All queues that may receive one, by any kind of name.
    ///   - count: The number of attached queues.
    /// - Returns: By kernel index, the queue that received the frame; `nil` if none did.
    /// - Throws: `TestFailure` if the device is down, or a frame was received twice.
    public func order<Name: Hashable>(of queues: [Name: Consumer], count: Int) throws -> [Name?] {
        for queue in queues.values { _ = queue.receive() }
        // Tapster removes programs when a lease of the device ends, so it is installed again, through any open queue.
        _ = queues.values.first { steering_by_mark($0.descriptor) == 0 }
        var order: [Name?] = []
        for index in 0..<count {
            // A new carrier lets packets through only after a short delay.
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

/// Runs `body` in another network namespace, and returns to the old one.
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

/// Continuous traffic: a thread sends a frame to each of the kernel's queues in turn, and reads what they receive.
public final class SteadyFrames {
    private let flow: Flow

    /// Starts sending.
    ///
    /// - Parameters:
    ///   - frames: The sender, used only by this object from now on.
    ///   - queues: All attached queues, used only by this object until it has finished.
    ///   - milliseconds: The interval.
    public init(_ frames: SteeredFrames, to queues: [Consumer], every milliseconds: UInt32) {
        flow = Flow(frames, queues)
        Thread.detachNewThread { [flow] in flow.run(every: milliseconds) }
    }

    deinit {
        flow.end()
    }

    /// The number of frames received so far.
    public var received: Int { flow.state.withLock(\.received.count) }

    /// Stops, after waiting for the last frames.
    ///
    /// - Returns: The number of frames sent, and the numbers of those that no queue received.
    /// - Throws: `TestFailure` if a frame could not be sent.
    public func finish() throws -> (sent: Int, lost: [UInt32]) {
        flow.end()
        let state = flow.state.withLock { $0 }
        if let failure = state.failure { throw failure }
        return (state.sent.count, state.sent.subtracting(state.received).sorted())
    }
}

/// The state shared by the sending thread and the object that stops it.
private final class Flow: @unchecked Sendable {
    // Unchecked: frames and queues are used only by the thread.
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
        // For later callers.
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
