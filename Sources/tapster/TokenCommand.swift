internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import TapCore
internal import TapDocument
internal import TapEngine
internal import TapKernel
internal import TapAPI

/// `tapster token`: who may come by TCP.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make, list and revoke the tokens with which one comes in by TCP.",
        discussion: """
            The tokens' file has only their hashes. The daemon reads it when it starts and on SIGHUP: \
            'systemctl reload tapster'.
            """,
        subcommands: [TokenCreateCommand.self, TokenListCommand.self, TokenRevokeCommand.self])
}

/// Which file the tokens are in.
struct TokenOptions: ParsableArguments {
    @Option(help: "The tokens' file; without it, that of the daemon's configuration.")
    var file: String?

    @Option(help: "The daemon's configuration file; \(ConfigurationFile.defaultPath) where there is one.")
    var config: String?

    /// The file, and the group that may read it, if there is one.
    func find() throws(InvalidConfiguration) -> (tokens: TokensFile, group: gid_t?) {
        let configuration = try Configuration(
            options: file.map { [.tokensFile: $0] } ?? [:], environment: ProcessInfo.processInfo.environment,
            file: ConfigurationFile.path(named: config))
        let path = configuration.tokensFile ?? TokensFile.defaultPath
        return (TokensFile(path: path), SystemAccounts().groupNumber(configuration.socketGroup))
    }
}

struct TokenCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a token, and show it this once.",
        discussion: "The token is the only line on standard output.")

    @Argument(help: "A name that no other token has; the history of changes shows it.")
    var name: String

    @Option(help: "What it allows: \(Role.names).")
    var role: String

    @Option(help: "How long it is valid, as in 12h or 90d; without it, until it is revoked.")
    var expires: String?

    @OptionGroup var place: TokenOptions

    func run() throws {
        let secret = AccessToken.secret()
        try reportingFailures { () throws(InvalidConfiguration) in
            let token = try make(TokenDigest(of: secret))
            let (file, group) = try place.find()
            try file.update(group: group) { tokens throws(InvalidConfiguration) in
                guard !tokens.contains(where: { $0.name == token.name }) else {
                    throw InvalidConfiguration([
                        SettingIssue(
                            place: file.path,
                            detail: "there is a token '\(token.name)' already; 'tapster token revoke' removes it")
                    ])
                }
                tokens.append(token)
            }
            StandardError.say(
                "'\(token.name)' is in \(file.path); the daemon knows it after 'systemctl reload tapster' (SIGHUP).")
        }
        print(secret)
    }

    /// What was asked for.
    private func make(_ digest: TokenDigest) throws(InvalidConfiguration) -> AccessToken {
        let now = Timestamp.now()
        do throws(TapCore.ValidationError) {
            let name = try TokenName(name)
            let role = try Role(text: role)
            let lifetime = try expires.map { text throws(TapCore.ValidationError) in try Duration(lifetime: text) }
            return AccessToken(
                name: name, role: role, digest: digest, createdAt: now,
                expiresAt: lifetime.map {
                    Timestamp(microseconds: now.microseconds + $0.components.seconds * 1_000_000)
                })
        } catch {
            throw InvalidConfiguration([SettingIssue(place: "tapster token create", detail: error.detail)])
        }
    }
}

struct TokenListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Show whose tokens are known.")

    @OptionGroup var place: TokenOptions

    func run() throws {
        try reportingFailures { () throws(InvalidConfiguration) in
            let tokens = try place.find().tokens.read(owners: nil)
            let now = Timestamp.now()
            let rows = tokens.map { token in
                let end = token.expiresAt.map { $0.text + (token.hasExpired(by: now) ? " (expired)" : "") }
                return [token.name.text, token.role.rawValue, token.createdAt.text, end ?? "never"]
            }
            let table = [["NAME", "ROLE", "CREATED", "EXPIRES"]] + rows
            let widths = (0..<4).map { column in table.map { $0[column].count }.max() ?? 0 }
            for row in table {
                let cells = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
                print(cells.joined(separator: "  ").trimmingCharacters(in: .whitespaces))
            }
        }
    }
}

struct TokenRevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "revoke", abstract: "Forget a token.")

    @Argument(help: "Its name.")
    var name: String

    @OptionGroup var place: TokenOptions

    func run() throws {
        try reportingFailures { () throws(InvalidConfiguration) in
            let file = try place.find().tokens
            try file.update(group: nil) { tokens throws(InvalidConfiguration) in
                guard let index = tokens.firstIndex(where: { $0.name.text == name }) else {
                    throw InvalidConfiguration([
                        SettingIssue(
                            place: file.path, detail: "there is no token '\(name)'; 'tapster token list' shows them")
                    ])
                }
                tokens.remove(at: index)
            }
            StandardError.say(
                "'\(name)' is gone from \(file.path); the daemon refuses it after 'systemctl reload tapster' (SIGHUP).")
        }
    }
}

extension Duration {
    private static let daysMax = 36_500

    /// `90d` too, beside what the API understands.
    init(lifetime text: String) throws(TapCore.ValidationError) {
        let found: Duration
        if text.last == "d", let days = Int(text.dropLast()), (1...Self.daysMax).contains(days) {
            found = .seconds(days * 86_400)
        } else {
            found = try Duration(text: text)
        }
        guard (.seconds(1) ... .seconds(Self.daysMax * 86_400)).contains(found) else {
            throw TapCore.ValidationError("'\(text)' is no lifetime: write 12h or 90d, at most \(Self.daysMax)d")
        }
        self = found
    }
}

/// What is wrong goes to standard error, and 1 is the exit status.
func reportingFailures(_ body: () throws(InvalidConfiguration) -> Void) throws {
    do throws(InvalidConfiguration) { try body() } catch {
        StandardError.say("\(error)")
        throw ExitCode(1)
    }
}
