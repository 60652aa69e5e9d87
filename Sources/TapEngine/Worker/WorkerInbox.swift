internal import Synchronization
package import TapCore
package import TapStore

/// What only the worker can tell, since only it looks at the kernel. Used on its thread, right after a full look.
package protocol Survey {
    /// What would be done about each of the devices, were they stated so.
    func plans(for records: [DeviceRecord]) -> [DevicePlan]
    /// Tap and tun devices that others made.
    func unmanaged() -> [UnmanagedDevice]
    /// Who holds descriptors of interfaces with these names, as far as the daemon may see.
    func holders(of names: Set<String>) -> [String: [DescriptorHolder]]
    /// What only its descriptors tell, as far as it can be told.
    func settings(of device: UnmanagedDevice) -> DescriptorSettings
}

/// What would be done about one device.
package struct DevicePlan: Sendable {
    package let name: DeviceName
    package let steps: [Step]
    /// Why nothing can be done, if so.
    package var obstacle: String?
}

/// A tap or tun device that nobody has claimed.
package struct UnmanagedDevice: Sendable {
    package let link: ObservedLink
    package let host: HostIdentity
    package let namespace: NetworkNamespace?
    package let controller: String?
    package let addresses: [ObservedAddress]
}

/// Devices that the worker shall look at, and questions that it shall answer. A name waits in it at most once, however
/// often it is added.
package final class WorkerInbox: Sendable {
    /// Asks for a full look, and is answered after it; nothing is passed when the look fails, or the worker ends.
    package typealias Question = @Sendable ((any Survey)?) -> Void

    static let questionsMax = 64

    static let commandsMax = 4_096

    private struct State {
        var names: [DeviceName: ContinuousClock.Instant] = [:]
        var questions: [Question] = []
        var commands: [LeaseCommand] = []
        var hasEnded = false
        var retriesFailed = false
        var isStopping = false
    }

    /// What had gathered since the last look.
    struct Work {
        let names: Set<DeviceName>
        let questions: [Question]
        let retriesFailed: Bool
        /// How long the longest-waiting name has waited.
        let longestWait: Duration?
    }

    private let state = Mutex(State())
    private let waker: any Waker

    init(waker: any Waker) {
        self.waker = waker
    }

    package func add(_ names: some Sequence<DeviceName>) {
        state.withLock { state in
            let now = ContinuousClock.now
            for name in names where state.names[name] == nil { state.names[name] = now }
        }
        waker.wake()
    }

    /// Wakes the worker, though no device has changed.
    package func wake() { waker.wake() }

    /// With `retryingFailed`, devices that failed are tried again now, and not when it is their time.
    ///
    /// - Returns: False when too many wait, or the worker ends; the question is then not answered.
    func ask(retryingFailed: Bool = false, _ question: @escaping Question) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isStopping, state.questions.count < Self.questionsMax else { return false }
            state.questions.append(question)
            state.retriesFailed = state.retriesFailed || retryingFailed
            return true
        }
        if isTaken { waker.wake() }
        return isTaken
    }

    /// Has the worker carry out a command as soon as it can, in the order in which they come. When the worker has
    /// ended, the command is refused with `.stopping`.
    ///
    /// - Returns: False when too many wait; then the command is neither carried out nor refused.
    @discardableResult
    package func add(_ command: LeaseCommand) -> Bool {
        let (isTaken, hasEnded) = state.withLock { state in
            guard !state.hasEnded else { return (true, true) }
            guard command.isOwed || state.commands.count < Self.commandsMax else { return (false, false) }
            state.commands.append(command)
            return (true, false)
        }
        if hasEnded { command.refuse() } else if isTaken { waker.wake() }
        return isTaken
    }

    func takeCommands() -> [LeaseCommand] {
        state.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
    }

    /// The worker takes no more commands.
    package func end() {
        let commands = state.withLock { state in
            state.hasEnded = true
            defer { state.commands = [] }
            return state.commands
        }
        for command in commands { command.refuse() }
    }

    /// Ends the worker after its current pass.
    package func stop() {
        state.withLock { $0.isStopping = true }
        waker.wake()
    }

    package var isStopping: Bool { state.withLock { $0.isStopping } }
    var depth: Int { state.withLock { $0.names.count } }
    package var isEmpty: Bool {
        state.withLock { $0.names.isEmpty && $0.questions.isEmpty && $0.commands.isEmpty && !$0.isStopping }
    }

    func take() -> Work {
        state.withLock { state in
            defer {
                state.names.removeAll()
                state.questions.removeAll()
                state.retriesFailed = false
            }
            return Work(
                names: Set(state.names.keys), questions: state.questions, retriesFailed: state.retriesFailed,
                longestWait: state.names.values.min().map { $0.duration(to: .now) })
        }
    }
}
