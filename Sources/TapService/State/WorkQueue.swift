internal import Synchronization
internal import TapCore

/// Devices that the worker shall look at. A name waits in it at most once, however often it is added.
final class WorkQueue: Sendable {
    private struct State {
        var names: [DeviceName: ContinuousClock.Instant] = [:]
        var isStopping = false
    }

    /// What had gathered since the last look.
    struct Work {
        let names: Set<DeviceName>
        /// How long the longest-waiting name has waited.
        let longestWait: Duration?
    }

    private let state = Mutex(State())
    private let waker: any Waker

    init(waker: any Waker) {
        self.waker = waker
    }

    func add(_ name: DeviceName) {
        state.withLock { state in
            if state.names[name] == nil { state.names[name] = .now }
        }
        waker.wake()
    }

    /// Ends the worker after its current pass.
    func stop() {
        state.withLock { $0.isStopping = true }
        waker.wake()
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }
    var depth: Int { state.withLock { $0.names.count } }
    var isEmpty: Bool { state.withLock { $0.names.isEmpty && !$0.isStopping } }

    func take() -> Work {
        state.withLock { state in
            defer { state.names.removeAll() }
            return Work(
                names: Set(state.names.keys),
                longestWait: state.names.values.min().map { $0.duration(to: .now) })
        }
    }
}
