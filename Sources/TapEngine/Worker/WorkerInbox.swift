internal import Synchronization
package import TapCore
package import TapStore

/// Questions that only the worker can answer, since only it reads the kernel. Used on its thread, right after a full
/// read of the kernel.
package protocol Survey {
    /// The steps for each of the devices if its record were the wanted state.
    func plans(for records: [DeviceRecord]) -> [DevicePlan]
    /// Tap and tun devices that Tapster does not own.
    func unmanaged() -> [UnmanagedDevice]
    /// The settings of a device that only a descriptor can report, as far as one is available.
    func settings(of device: UnmanagedDevice) -> DescriptorSettings
}

/// The planned steps for one device.
package struct DevicePlan: Sendable {
    /// The device's name.
    package let name: DeviceName
    /// In the order of execution; empty if nothing is to be done.
    package let steps: [Step]
    /// Why the device cannot reach its wanted state; `nil` if it can.
    package var obstacle: String?
    /// What the steps change for others that use the same bridge.
    package var effects: [String] = []
}

/// A tap or tun device that no record claims, and the processes that hold its descriptors, as far as the daemon may see
/// them.
package struct HeldDevice: Sendable {
    /// The device.
    package let device: UnmanagedDevice
    /// At most one entry for each process.
    package let holders: [DescriptorHolder]
}

/// A tap or tun device that no record claims.
package struct UnmanagedDevice: Sendable {
    /// The interface as the kernel reports it.
    package let link: ObservedLink
    /// The namespace's identity.
    let host: NamespaceIdentity
    /// The namespace's location; `nil` for the daemon's own.
    package let namespace: NetworkNamespace?
    /// The name of its bridge or VRF, or of the interface of another kind that it belongs to (`IFLA_MASTER`).
    package let controller: String?
    /// Whether `controller` is of a kind that a spec cannot state, such as a port of Open vSwitch has.
    package let isControllerForeign: Bool
    /// Its IP addresses.
    package let addresses: [ObservedAddress]
}

/// The worker's inbox: devices to reconcile, questions, and lease commands. A name is in it at most once.
package final class WorkerInbox: Sendable {
    /// A request for a full read, called after it; with `nil` if the read fails or the worker ends.
    package typealias Question = @Sendable ((any Survey)?) -> Void

    /// The most waiting questions.
    static let questionsMax = 64

    /// The most waiting lease commands, without those that are always accepted.
    static let commandsMax = 4_096

    private struct State {
        var names: [DeviceName: ContinuousClock.Instant] = [:]
        var questions: [Question] = []
        var commands: [LeaseCommand] = []
        var hasEnded = false
        var isLookRequested = false
        var retriesFailed = false
        var isStopping = false
    }

    /// What has arrived since the last pass.
    struct Work {
        let names: Set<DeviceName>
        let questions: [Question]
        /// Whether to read the kernel in full, for the questions or because `requestLook` was called.
        let isLookRequested: Bool
        let retriesFailed: Bool
        /// How long the first name has waited; `nil` if there is none.
        let longestWait: Duration?
    }

    private let state = Mutex(State())
    private let waker: any Waker

    init(waker: any Waker) {
        self.waker = waker
    }

    /// Queues devices for the next pass, and wakes the worker.
    func add(_ names: some Sequence<DeviceName>) {
        state.withLock { state in
            let now = ContinuousClock.now
            for name in names where state.names[name] == nil { state.names[name] = now }
        }
        waker.wake()
    }

    /// Wakes the worker, although no device has changed.
    func wake() { waker.wake() }

    /// Queues a question, and wakes the worker. With `retryingFailed`, failed devices are retried now instead of after
    /// their backoff.
    ///
    /// - Returns: False if too many questions wait or the worker is stopping; the question is then not called.
    func ask(retryingFailed: Bool = false, _ question: @escaping Question) -> Bool {
        let isAccepted = state.withLock { state in
            guard !state.isStopping, state.questions.count < Self.questionsMax else { return false }
            state.questions.append(question)
            state.retriesFailed = state.retriesFailed || retryingFailed
            return true
        }
        if isAccepted { waker.wake() }
        return isAccepted
    }

    /// Requests a full read of the kernel without waiting for it. Requests before the read begins are one.
    func requestLook() {
        state.withLock { state in
            state.isLookRequested = true
            state.retriesFailed = true
        }
        waker.wake()
    }

    /// Puts questions back that have not been answered, before later ones.
    func putBack(_ questions: some Sequence<Question>) {
        state.withLock { $0.questions.insert(contentsOf: Array(questions), at: 0) }
    }

    /// Queues a command for the worker, which carries commands out in order, before all other work. After the worker
    /// has ended, the command is refused with `.stopping`.
    ///
    /// - Returns: False if too many wait; the command is then neither carried out nor refused.
    @discardableResult
    func add(_ command: LeaseCommand) -> Bool {
        let (isAccepted, hasEnded) = state.withLock { state in
            guard !state.hasEnded else { return (true, true) }
            guard command.isAlwaysAccepted || state.commands.count < Self.commandsMax else { return (false, false) }
            state.commands.append(command)
            return (true, false)
        }
        if hasEnded { command.refuse() } else if isAccepted { waker.wake() }
        return isAccepted
    }

    func drainCommands() -> [LeaseCommand] {
        state.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
    }

    /// Refuses all waiting commands, and later ones. Called after the worker's last pass.
    func end() {
        let commands = state.withLock { state in
            state.hasEnded = true
            defer { state.commands = [] }
            return state.commands
        }
        for command in commands { command.refuse() }
    }

    /// Ends the worker after its current pass.
    func stop() {
        state.withLock { $0.isStopping = true }
        waker.wake()
    }

    /// Whether `stop` was called.
    var isStopping: Bool { state.withLock { $0.isStopping } }
    var depth: Int { state.withLock { $0.names.count } }
    /// Whether the worker can sleep: nothing waits but questions, and it is not stopping.
    var isEmpty: Bool {
        state.withLock { $0.names.isEmpty && $0.commands.isEmpty && !$0.isStopping }
    }
    /// Whether a full read of the kernel is requested.
    var isLookRequested: Bool { state.withLock { !$0.questions.isEmpty || $0.isLookRequested } }

    /// Takes what has arrived; without `takesQuestions`, questions and requests for a full read are left for later.
    func drain(questions takesQuestions: Bool = true) -> Work {
        state.withLock { state in
            defer {
                state.names.removeAll()
                if takesQuestions {
                    state.questions.removeAll()
                    (state.isLookRequested, state.retriesFailed) = (false, false)
                }
            }
            return Work(
                names: Set(state.names.keys), questions: takesQuestions ? state.questions : [],
                isLookRequested: takesQuestions && (state.isLookRequested || !state.questions.isEmpty),
                retriesFailed: takesQuestions && state.retriesFailed,
                longestWait: state.names.values.min().map { $0.duration(to: .now) })
        }
    }
}
