internal import ArgumentParser
internal import TapCore
internal import TapSystem

@main
struct TapsterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tapster",
        abstract: "Manages multiqueue tap and tun devices: declare them over REST, Tapster makes the kernel match.",
        version: Tapster.version,
        subcommands: [
            ServeCommand.self, ExecCommand.self, KeepCommand.self, TokenCommand.self, CheckConfigCommand.self,
        ])

    static func main() {
        // Before anything else opens a file, which would then get the number of a closed standard descriptor.
        StandardDescriptors.open()
        main(nil)
    }
}
