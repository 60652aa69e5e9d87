internal import CLinux
internal import Glibc
internal import TapCore
public import TapSystem

/// Runs a program, restarts it when it ends, and keeps the descriptors that it stores, as systemd does for a service
/// (`Type=notify`, `Restart=always`).
///
/// It uses one thread, which the program's messages, signals and the end of children wake.
public final class Supervisor {
    /// What happened, for the log.
    public enum Event: Sendable {
        case started(process: Int32, descriptors: Int)
        case ended(status: Int32, restartIn: Duration?)
        case failed(ProgramFailure, restartIn: Duration)
        case storeIsFull(descriptors: Int)
        case messageLost(Errno)
        case stopping(signal: Int32)
        case restarting
        case killed(afterSeconds: Int)
    }

    private enum State {
        case running(process: Int32, since: ContinuousClock.Instant)
        case waiting(until: ContinuousClock.Instant)
    }

    private enum Purpose {
        case run
        case restart
        case stop
    }

    private static let delayMin = Duration.milliseconds(100)
    private static let delayMax = Duration.seconds(5)
    /// After a shorter run, the delay before the next start is doubled; after a longer one it begins at `delayMin`
    /// again.
    private static let minimumUptime = Duration.seconds(10)
    /// A program that has not ended by then is killed, as in the systemd unit.
    private static let stopSecondsMax = 10
    /// Messages read at a time: more than a socket queues (`net.unix.max_dgram_qlen`), but limited, so that a sender
    /// cannot keep the supervisor reading forever.
    private static let messagesMax = 4_096

    fileprivate static let socketName = "notify"

    private let program: Program
    private let environment: [String: String]
    private let report: (Event) -> Void
    private let directory: PrivateDirectory
    private let socket: OwnedDescriptor
    private let signals: SignalQueue

    private var store: StoredDescriptors
    private var storeWasFull = false
    private var state = State.waiting(until: .now)
    private var purpose = Purpose.run
    private var hasBeenReady = false
    private var delay = Duration.zero
    private var killTime: ContinuousClock.Instant?

    /// Must be created while there is one thread, since it blocks signals.
    ///
    /// - Parameters:
    ///   - program: What to run.
    ///   - environment: This process's environment, which the program inherits.
    ///   - openMax: How many files this process may have open.
    ///   - report: Called from `run`.
    /// - Throws: EMFILE and similar errors; EACCES if no directory for the socket can be created.
    public init(
        program: Program, environment: [String: String], openMax: UInt64, report: @escaping (Event) -> Void
    ) throws(Errno) {
        self.program = program
        self.report = report
        directory = try PrivateDirectory(candidates: [environment["TMPDIR"], "/run", "/tmp"].compactMap(\.self))
        let path = directory.path + "/" + Self.socketName
        socket = try UnixSocket.bind(datagramsAt: path)
        signals = try SignalQueue([SIGTERM, SIGINT, SIGHUP, SIGCHLD])
        store = StoredDescriptors(openMax: openMax)
        // These variables are for this process, from its own service manager, and not for the program.
        var environment = environment.filter { key, _ in !key.hasPrefix("LISTEN_") && !key.hasPrefix("WATCHDOG_") }
        environment["NOTIFY_SOCKET"] = path
        self.environment = environment
    }

    /// Runs the program until SIGTERM or SIGINT, or until it ends without ever having been ready.
    ///
    /// - Returns: The program's exit status; 128 plus the signal's number if a signal has ended it; 0 if it was not
    ///   running when SIGTERM or SIGINT arrived.
    /// - Throws: Why it could not be started the first time.
    public func run() throws(ProgramFailure) -> Int32 {
        try start()
        while true {
            wait()
            while let signal = signals.next() { handle(signal) }
            if let status = look() { return status }
            switch state {
            case .waiting where purpose == .stop: return 0
            case .waiting(let time) where time <= .now:
                do throws(ProgramFailure) { try start() } catch { failed(error) }
            case .running(let process, _):
                if let time = killTime, time <= .now {
                    kill(process, SIGKILL)
                    killTime = nil
                    report(.killed(afterSeconds: Self.stopSecondsMax))
                }
            case .waiting: break
            }
        }
    }

    private func wait() {
        var deadline = killTime
        if case .waiting(let time) = state { deadline = time }
        // No error is expected; if there is one, the pause avoids a busy loop.
        do { _ = try Poll.waitUntilReadable([signals.number, socket.number], until: deadline) } catch {
            usleep(10_000)
        }
    }

    private func start() throws(ProgramFailure) {
        var environment = environment
        if store.count > 0 {
            environment["LISTEN_FDS"] = String(store.count)
            environment["LISTEN_FDNAMES"] = store.names.joined(separator: ":")
        }
        do throws(Errno) {
            let process = try program.spawn(environment: environment, descriptors: store.numbers)
            state = .running(process: process, since: .now)
            purpose = .run
            report(.started(process: process, descriptors: store.count))
        } catch {
            throw ProgramFailure(program.name, error)
        }
    }

    private func handle(_ signal: SignalQueue.Signal) {
        switch (signal.number, state) {
        case (SIGTERM, _), (SIGINT, _):
            report(.stopping(signal: signal.number))
            purpose = .stop
            if case .running(let process, _) = state {
                // A terminal has sent the signal to the program too.
                if !signal.isFromTerminal { kill(process, signal.number) }
                killTime = killTime ?? .now + .seconds(Self.stopSecondsMax)
            }
        case (SIGHUP, .running(let process, _)) where purpose == .run:
            report(.restarting)
            purpose = .restart
            kill(process, SIGTERM)
            killTime = .now + .seconds(Self.stopSecondsMax)
        case (SIGHUP, .waiting) where purpose == .run:
            delay = .zero
            state = .waiting(until: .now)
        default: break
        }
    }

    /// Reads all pending messages, and acts on those of the program; others are ignored.
    private func receiveMessages() {
        for _ in 0..<Self.messagesMax {
            do throws(Errno) {
                let message = try DescriptorPassing.receive(
                    upTo: Notification.bytesMax, from: socket.number, withSender: true, flags: MessageFlag.doNotWait)
                if case .running(let process, _) = state, message.sender == process { handle(message) }
            } catch {
                if error == .wouldBlock { return }
                report(.messageLost(error))
            }
        }
    }

    /// Reads messages and reaps children. A program that has ended is reaped only after its last messages are read:
    /// until then no other process can get its number, and so send messages in its place.
    ///
    /// - Returns: This process's exit status if the program is not to be started again; otherwise `nil`.
    private func look() -> Int32? {
        guard case .running(let process, let start) = state, clinux_ended_child(process) == process else {
            receiveMessages()
            reapOrphans()
            return nil
        }
        receiveMessages()
        let status = reap(process, since: start)
        reapOrphans()
        return status
    }

    private func handle(_ message: ReceivedMessage) {
        for notification in Notification.parse(message.bytes) {
            switch notification {
            case .ready: hasBeenReady = true
            case .remove(let name):
                store.remove(name)
                storeWasFull = false
            case .store(let name):
                for descriptor in message.descriptors where !store.add(descriptor, name: name) {
                    if !storeWasFull { report(.storeIsFull(descriptors: store.count)) }
                    storeWasFull = true
                }
            }
        }
    }

    /// Reaps children other than the program: the first process of a container becomes the parent of its orphans.
    private func reapOrphans() {
        while true {
            let child = clinux_ended_child(0)
            guard child > 0 else { return }
            // The program has ended since `look` checked: its messages must be read first, and SIGCHLD ends the next
            // wait.
            if case .running(let process, _) = state, process == child { return }
            _ = waitpid(child, nil, 0)
        }
    }

    /// - Returns: This process's exit status if the program is not to be started again; otherwise `nil`.
    private func reap(_ process: Int32, since start: ContinuousClock.Instant) -> Int32? {
        var found: Int32 = 0
        // SAFETY: the kernel writes the status.
        _ = unsafe waitpid(process, &found, 0)
        // WIFEXITED and similar are macros, which Swift does not import.
        let status = found & 0x7F == 0 ? found >> 8 & 0xFF : 128 + found & 0x7F
        killTime = nil
        if purpose == .stop || purpose == .run && !hasBeenReady {
            report(.ended(status: status, restartIn: nil))
            return status
        }
        if purpose == .restart || start.duration(to: .now) >= Self.minimumUptime { delay = .zero }
        let delay = purpose == .restart ? .zero : nextDelay()
        state = .waiting(until: .now + delay)
        report(.ended(status: status, restartIn: delay))
        return nil
    }

    private func failed(_ failure: ProgramFailure) {
        let delay = nextDelay()
        state = .waiting(until: .now + delay)
        report(.failed(failure, restartIn: delay))
    }

    private func nextDelay() -> Duration {
        delay = min(max(delay * 2, Self.delayMin), Self.delayMax)
        return delay
    }
}

/// A directory that other users may not enter (mkdtemp(3)). It is removed with the object.
private final class PrivateDirectory {
    let path: String

    /// Creates it in the first of the candidates where that is possible.
    init(candidates: [String]) throws(Errno) {
        var reason = Errno.noEntry
        for candidate in candidates {
            var template = Array((candidate + "/tapster-keep-XXXXXX").utf8CString)
            // SAFETY: the array ends with a NUL, and is changed in place.
            if unsafe mkdtemp(&template) != nil {
                path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
                return
            }
            reason = Errno(rawValue: clinux_errno())
        }
        throw reason
    }

    deinit {
        // SAFETY: both calls read the string, which lives until they return.
        _ = unsafe unlink(path + "/" + Supervisor.socketName)
        _ = unsafe rmdir(path)
    }
}
