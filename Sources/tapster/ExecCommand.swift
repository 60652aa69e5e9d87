internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import TapCore
internal import TapKernel
internal import TapSystem

/// `tapster exec`: leases queues of a device and executes a command with their descriptors open.
struct ExecCommand: ParsableCommand {
    /// Exit status when the lease failed, not the command; as with env(1), timeout(1) and container engines.
    private static let failureStatus: Int32 = 125

    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Lease queues of a device, and run a command with their descriptors open.",
        usage: "tapster exec --device <device> [<options>] -- <command> [<argument> ...]",
        discussion: """
            In the command's arguments, {fds} is replaced by the numbers of the queues' descriptors, separated by \
            colons, as QEMU's fds= expects them, and {fd0}, {fd1}… by the number of one descriptor. The command needs \
            no privileges. It replaces tapster, so that it gets signals directly and its exit status is returned. The \
            lease ends when the last process that has its connection open ends or closes it.

                tapster exec --device web0 -- qemu-system-x86_64 -netdev tap,id=n0,fds={fds},vhost=off …

            Exit status: 125 if there is no lease, 126 if the command cannot be executed, 127 if it is not found.
            """)

    @Option(help: "The device's name.")
    var device: String

    @Option(help: "Lease the queues that are assigned to this consumer, instead of unassigned ones.")
    var consumer: String?

    @Option(help: "The queues to lease, such as 0,1; default: all that are free.", transform: Self.indexes)
    var queues: [Int]?

    @Flag(help: "Lease although other processes have queues of the device that get packets too.")
    var force = false

    @Option(help: "The API's Unix socket.")
    var socket = Environment.value("SOCKET") ?? "/run/tapster/api.sock"

    @Argument(parsing: .postTerminator, help: "The command to run, and its arguments.")
    var command: [String]

    private static func indexes(_ text: String) throws -> [Int] {
        let indexes = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
        guard indexes.allSatisfy({ $0 >= 0 }) else {
            throw ArgumentParser.ValidationError("'\(text)' is not a list of queues; write their numbers, such as 0,1")
        }
        return indexes
    }

    func validate() throws {
        guard !device.isEmpty else { throw ArgumentParser.ValidationError("--device is empty") }
        guard !command.isEmpty else { throw ArgumentParser.ValidationError("the command after '--' is missing") }
    }

    func run() throws {
        let program = Program(command)
        do {
            try program.find()
            // The daemon shows the holder of a lease by this name, which the command would get only afterwards.
            NamedThread.rename(command[0].split(separator: "/").last.map(String.init) ?? command[0])
            var client = try LeaseClient(path: socket)
            let lease = try client.lease(device, consumer: consumer, queues: queues, force: force)
            let arguments = try program.arguments.map { try lease.fill($0) }
            try lease.passOn()
            try program.become(arguments: arguments)
        } catch {
            StandardError.say("tapster: \(error)")
            throw ExitCode((error as? ProgramFailure)?.exitStatus ?? Self.failureStatus)
        }
    }
}
