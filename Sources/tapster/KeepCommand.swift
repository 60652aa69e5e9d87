internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import Logging
internal import TapCore
internal import TapKernel

/// `tapster keep`: a service manager for where there is none.
struct KeepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep",
        abstract: "Run a command, start it again whenever it ends, and keep its descriptors meanwhile.",
        usage: "tapster keep -- <command> [<argument> ...]",
        discussion: """
            For hosts and containers without systemd. It speaks systemd's protocol: the command finds NOTIFY_SOCKET in \
            its environment, says there that it is ready, and may store descriptors (FDSTORE=1), which its next start \
            finds as LISTEN_FDS and LISTEN_FDNAMES. As the first process of a container it takes care of orphans.

            SIGTERM and SIGINT are passed on, and the end of the command is the end of keep, with the command's exit \
            status. So it is when the command ends before it was ever ready. SIGHUP ends the command and starts it \
            anew, which is how one upgrades. TAPSTER_LOG_FORMAT is text or json.
            """)

    @Argument(parsing: .postTerminator, help: "What to run, such as 'tapster serve'.")
    var command: [String]

    func validate() throws {
        guard !command.isEmpty else {
            throw ArgumentParser.ValidationError("what is there to keep? tapster keep -- tapster serve")
        }
    }

    func run() throws {
        let format = Environment.value("LOG_FORMAT").flatMap { LogFormat(rawValue: $0) } ?? .text
        let threshold = LogThreshold(.info)
        let log = Logger(label: "tapster") { _ in StandardErrorLog(format: format, threshold: threshold) }
        // A log that nobody reads must not be the end of it.
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
            throw StartFailure(description: "there is no socket for the command's messages: \(error)")
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
            warning("ended; starting again", metadata: ["status": "\(status)", "in": "\(delay.milliseconds) ms"])
        case .failed(let failure, let delay):
            error("\(failure)", metadata: ["again_in": "\(delay.milliseconds) ms"])
        case .storeIsFull(let descriptors):
            error("no room for more descriptors", metadata: ["descriptors": "\(descriptors)"])
        case .messageLost(let errno):
            error("a message of the command is lost", metadata: ["error": "\(errno)"])
        case .stopping(let number):
            info("stopping", metadata: ["signal": "\(number)"])
        case .restarting:
            info("restarting")
        case .killed(let seconds):
            warning("killed: it did not end", metadata: ["seconds": "\(seconds)"])
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int { Int(self / .milliseconds(1)) }
}
