internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import TapCore
internal import TapDocument
internal import TapEngine
internal import TapKernel
internal import TapAPI

/// `tapster token`: manages the access tokens for TCP clients.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Create, list and revoke access tokens for TCP clients.",
        discussion: """
            The tokens file has only the tokens' hashes. The daemon reads it when it starts and on SIGHUP \
            ('systemctl reload tapster').
            """,
        subcommands: [TokenCreateCommand.self, TokenListCommand.self, TokenRevokeCommand.self])
}

/// The options that select the tokens file.
struct TokenOptions: ParsableArguments {
    @Option(help: "The tokens file; default: the one in the daemon's configuration.")
    var file: String?

    @Option(help: "The daemon's configuration file; default: \(ConfigurationFile.defaultPath), if it exists.")
    var config: String?

    /// The tokens file, and the group that may read it; `nil` if that group does not exist.
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
        abstract: "Create a token and print it; it cannot be shown again.",
        discussion: "The token is the only line on standard output.")

    @Argument(help: "A unique name, which the history of changes shows.")
    var name: String

    @Option(help: "The token's role: \(Role.names).")
    var role: String

    @Option(help: "The token's lifetime, such as 12h or 90d; default: until it is revoked.")
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
                            detail: "the token '\(token.name)' already exists; 'tapster token revoke' removes it")
                    ])
                }
                tokens.append(token)
            }
            StandardError.say(
                "added '\(token.name)' to \(file.path); the daemon reads it on 'systemctl reload tapster' (SIGHUP).")
        }
        print(secret)
    }

    /// The token that the arguments describe.
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
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the tokens, without secrets.")

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
    static let configuration = CommandConfiguration(commandName: "revoke", abstract: "Remove a token.")

    @Argument(help: "The token's name.")
    var name: String

    @OptionGroup var place: TokenOptions

    func run() throws {
        try reportingFailures { () throws(InvalidConfiguration) in
            let file = try place.find().tokens
            try file.update(group: nil) { tokens throws(InvalidConfiguration) in
                guard let index = tokens.firstIndex(where: { $0.name.text == name }) else {
                    throw InvalidConfiguration([
                        SettingIssue(
                            place: file.path, detail: "there is no token '\(name)'; 'tapster token list' lists them")
                    ])
                }
                tokens.remove(at: index)
            }
            StandardError.say(
                "removed '\(name)' from \(file.path); the daemon reads it on 'systemctl reload tapster' (SIGHUP).")
        }
    }
}

extension Duration {
    private static let daysMax = 36_500

    /// Accepts days, such as `90d`, in addition to the units of the API.
    init(lifetime text: String) throws(TapCore.ValidationError) {
        let found: Duration
        if text.last == "d", let days = Int(text.dropLast()), (1...Self.daysMax).contains(days) {
            found = .seconds(days * 86_400)
        } else {
            found = try Duration(text: text)
        }
        guard (.seconds(1) ... .seconds(Self.daysMax * 86_400)).contains(found) else {
            throw TapCore.ValidationError("'\(text)' is not a lifetime: write 12h or 90d, at most \(Self.daysMax)d")
        }
        self = found
    }
}

/// Prints mistakes to standard error and exits with status 1.
func reportingFailures(_ body: () throws(InvalidConfiguration) -> Void) throws {
    do throws(InvalidConfiguration) { try body() } catch {
        StandardError.say("\(error)")
        throw ExitCode(1)
    }
}
