internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import Logging
internal import TapCore
internal import TapKernel
internal import TapSystem

/// `tapster keep`: a minimal service manager for hosts and containers without systemd.
struct KeepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep",
        abstract: "Run a command, restart it whenever it ends, and keep its descriptors in between.",
        usage: "tapster keep -- <command> [<argument> ...]",
        discussion: """
            For hosts and containers without systemd. It uses systemd's protocol: the command finds NOTIFY_SOCKET in \
            its environment, reports there that it is ready, and may store descriptors (FDSTORE=1), which it gets \
            back at its next start with LISTEN_FDS and LISTEN_FDNAMES. As the first process of a container it reaps \
            orphaned processes.

            SIGTERM and SIGINT are forwarded to the command; when it ends, keep ends with its exit status. The same \
            happens if the command ends before it was ever ready. SIGHUP restarts the command: to upgrade, replace \
            the binary and send SIGHUP. TAPSTER_LOG_FORMAT is text or json.
            """)

    @Argument(parsing: .postTerminator, help: "The command to run, such as 'tapster serve'.")
    var command: [String]

    func validate() throws {
        guard !command.isEmpty else {
            throw ArgumentParser.ValidationError("the command is missing, such as in: tapster keep -- tapster serve")
        }
    }

    func run() throws {
        let format = Environment.value("LOG_FORMAT").flatMap { LogFormat(rawValue: $0) } ?? .text
        let threshold = LogThreshold(.info)
        let lines = LogWriter(format: format)
        do { try lines.start() } catch { throw StartFailure(description: error.description) }
        defer { lines.stop() }
        let log = Logger(label: "tapster") { _ in
            StandardErrorLog(format: format, threshold: threshold, writer: lines)
        }
        // Writing to a log whose reader has closed it must not end this process.
        _ = signal(SIGPIPE, SIG_IGN)
        guard let openMax = DescriptorLimit.raise() else {
            throw StartFailure(description: "the limit of open files cannot be raised")
        }
        let supervisor: Supervisor
        do {
            supervisor = try Supervisor(
                program: Program(command), environment: ProcessInfo.processInfo.environment, openMax: openMax
            ) { event in log.record(event) }
        } catch {
            throw StartFailure(description: "the socket for the command's messages cannot be created: \(error)")
        }
        do {
            throw ExitCode(try supervisor.run())
        } catch let failure as ProgramFailure {
            StandardError.say("tapster: \(failure)")
            throw ExitCode(failure.exitStatus)
        }
    }
}

extension Logger {
    fileprivate func record(_ event: Supervisor.Event) {
        switch event {
        case .started(let process, let descriptors):
            info("started", metadata: ["pid": "\(process)", "descriptors": "\(descriptors)"])
        case .ended(let status, nil):
            notice("ended", metadata: ["status": "\(status)"])
        case .ended(let status, .zero?):
            info("ended", metadata: ["status": "\(status)"])
        case .ended(let status, let delay?):
            warning("ended; restarting", metadata: ["status": "\(status)", "in": "\(delay.milliseconds) ms"])
        case .failed(let failure, let delay):
            error("\(failure)", metadata: ["again_in": "\(delay.milliseconds) ms"])
        case .storeIsFull(let descriptors):
            error("no room for more descriptors", metadata: ["descriptors": "\(descriptors)"])
        case .messageLost(let errno):
            error("a message of the command was lost", metadata: ["error": "\(errno)"])
        case .stopping(let number):
            info("stopping", metadata: ["signal": "\(number)"])
        case .restarting:
            info("restarting")
        case .killed(let seconds):
            warning("killed: the command did not end in time", metadata: ["seconds": "\(seconds)"])
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int { Int(self / .milliseconds(1)) }
}
