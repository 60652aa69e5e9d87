internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import TapCore
internal import TapKernel
internal import TapSystem

/// `tapster exec`: becomes a command that has a device's queues open.
struct ExecCommand: ParsableCommand {
    /// As env(1), timeout(1) and container engines have it: it is not the command that has failed.
    private static let failureStatus: Int32 = 125

    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Lease queues of a device, and run a command that has them open.",
        usage: "tapster exec --device <device> [<options>] -- <command> [<argument> ...]",
        discussion: """
            In the command's arguments, {fds} becomes the numbers of the queues' descriptors with colons between them, \
            as QEMU's fds= takes them, and {fd0}, {fd1}… that of each. The command needs no privilege. It replaces \
            tapster: signals and the exit status are its own. The lease ends with the last process that has its \
            connection open, so at the latest with the command.

                tapster exec --device web0 -- qemu-system-x86_64 -netdev tap,id=n0,fds={fds},vhost=off …

            Exit status: 125 when there is no lease, 126 when the command cannot be executed, 127 when it is not found.
            """)

    @Option(help: "The device's name.")
    var device: String

    @Option(help: "Who asks: takes the queues that are assigned to this consumer, instead of those that are nobody's.")
    var consumer: String?

    @Option(help: "Which queues, as in 0,1; without it, all that are free.", transform: Self.indexes)
    var queues: [Int]?

    @Option(help: "The API's Unix socket.")
    var socket = Environment.value("SOCKET") ?? "/run/tapster/api.sock"

    @Argument(parsing: .postTerminator, help: "What to run.")
    var command: [String]

    private static func indexes(_ text: String) throws -> [Int] {
        let indexes = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
        guard indexes.allSatisfy({ $0 >= 0 }) else {
            throw ArgumentParser.ValidationError("'\(text)' are no queues: their numbers, such as 0,1")
        }
        return indexes
    }

    func validate() throws {
        guard !device.isEmpty else { throw ArgumentParser.ValidationError("--device is empty") }
        guard !command.isEmpty else { throw ArgumentParser.ValidationError("there is no command after '--'") }
    }

    func run() throws {
        StandardDescriptors.open()
        let program = Program(command)
        do {
            try program.find()
            var client = try LeaseClient(path: socket)
            let lease = try client.lease(device, consumer: consumer, queues: queues)
            let arguments = try program.arguments.map { try lease.fill($0) }
            try lease.passOn()
            try program.become(arguments: arguments)
        } catch {
            StandardError.say("tapster: \(error)")
            throw ExitCode((error as? ProgramFailure)?.exitStatus ?? Self.failureStatus)
        }
    }
}
