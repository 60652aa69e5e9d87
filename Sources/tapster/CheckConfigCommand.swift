internal import ArgumentParser
internal import Foundation
internal import TapCore
internal import TapKernel
internal import TapAPI

/// `tapster check-config`: shows the settings that `serve` would use, or all mistakes in them.
struct CheckConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Show the settings that 'serve' would use with the same options, or all mistakes in them.",
        discussion: """
            Each setting is shown as in a configuration file, with its origin: an option, an environment variable, a \
            line of the file, or the default. Tokens and keys are not shown. Exit status: 1 if there is a mistake.
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        try reportingFailures { () throws(InvalidConfiguration) in
            let configuration = try options.read()
            var issues: [SettingIssue] = []
            var tokensCount = 0
            do throws(InvalidConfiguration) {
                let (policy, unknownPrincipals) = try configuration.policy(
                    accounts: SystemAccounts(), owners: nil, listen: configuration.listen)
                issues += unknownPrincipals
                tokensCount = policy.tokensCount
            } catch { issues += error.issues }
            // The daemon would start without the group, and give the socket to its own: only root could connect then.
            if let place = configuration.settings[.socketGroup]?.place, place != Setting.defaultPlace,
                SystemAccounts().groupNumber(configuration.socketGroup) == nil
            {
                issues.append(
                    SettingIssue(
                        place: place,
                        detail: "socketGroup: there is no group '\(configuration.socketGroup)' on this host"))
            }
            do throws(InvalidConfiguration) { _ = try configuration.tls?.load(owners: nil) } catch {
                issues += error.issues
            }
            guard issues.isEmpty else { throw InvalidConfiguration(issues) }
            print(configuration.text)
            if configuration.listen != nil { print("# tokens: \(tokensCount)") }
        }
    }
}

extension Configuration {
    /// The settings in the format of a configuration file, each line with its origin.
    var text: String {
        var lines = Setting.allCases.filter { !$0.key.contains(".") }.map { line($0, $0.key) }
        let nested = Setting.allCases.filter { $0.key.contains(".") }
        if tls != nil {
            lines.append("tls:")
            lines += nested.map { line($0, "  " + $0.key.split(separator: ".")[1]) }
        } else {
            lines.append("tls: null")
        }
        lines.append(Self.list("allowedHosts", access.hosts))
        lines.append(Self.list("allowedOrigins", access.origins))
        lines.append("peers:")
        lines.append("  default: \(access.fallback?.rawValue ?? "null")")
        lines += Self.mapping("  users", access.users.map { ("\($0.key)", $0.value) })
        lines += Self.mapping("  groups", access.groups.map { ("\($0.key)", $0.value) })
        lines += Self.mapping(
            "certificates", access.certificates.map { ("\($0.key)", $0.value) }.sorted { $0.0 < $1.0 })
        return lines.joined(separator: "\n")
    }

    private func line(_ setting: Setting, _ key: String) -> String {
        let value = settings[setting]?.value.map(Self.quoted) ?? "null"
        return "\(key): \(value)  # \(settings[setting]?.place ?? Setting.defaultPlace)"
    }

    private static func mapping(_ key: String, _ roles: [(String, Role)]) -> [String] {
        if roles.isEmpty { return ["\(key): {}"] }
        let indent = String(key.prefix { $0 == " " })
        return ["\(key):"] + roles.map { "\(indent)  \(quoted($0.0)): \($0.1.rawValue)" }
    }

    private static func list(_ key: String, _ items: Set<some CustomStringConvertible>) -> String {
        "\(key): [\(items.map { quoted($0.description) }.sorted().joined(separator: ", "))]"
    }

    /// The text in double quotes, unless YAML reads it as a string without them.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-".contains($0)) }
        let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        if isPlain, text.first?.isLetter == true || text.first == "/", !words.contains(text.lowercased()) {
            return text
        }
        return "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
