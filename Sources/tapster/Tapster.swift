internal import ArgumentParser
internal import TapCore

@main
struct TapsterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tapster",
        abstract: "Owns multiqueue tap and tun devices: state them over REST, Tapster keeps them true in the kernel.",
        version: Tapster.version,
        subcommands: [
            ServeCommand.self, ExecCommand.self, KeepCommand.self, TokenCommand.self, CheckConfigCommand.self,
        ])
}
