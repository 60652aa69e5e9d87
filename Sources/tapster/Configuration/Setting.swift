/// What can be set by an option, in the environment and in the file: one text each.
enum Setting: String, CaseIterable {
    case database
    case socket
    case socketGroup
    case listen
    case metricsListen
    case certificateFile = "tls.certificateFile"
    case keyFile = "tls.keyFile"
    case clientAuthorityFile = "tls.clientAuthorityFile"
    case tokensFile
    case logLevel
    case logFormat

    /// Its place in the file.
    var key: String { rawValue }

    /// `--tls-key-file`
    var option: String { "--" + words.joined(separator: "-") }

    /// `TAPSTER_TLS_KEY_FILE`
    var environmentName: String { "TAPSTER_" + words.joined(separator: "_").uppercased() }

    /// Where the value comes from when nothing sets it.
    static let defaultPlace = "default"

    var fallback: String? {
        switch self {
        case .database: "/var/lib/tapster/tapster.db"
        case .socket: "/run/tapster/api.sock"
        case .socketGroup: "tapster"
        case .logLevel: "info"
        case .logFormat: "text"
        case .listen, .metricsListen, .certificateFile, .keyFile, .clientAuthorityFile, .tokensFile: nil
        }
    }

    /// Whether SIGHUP is enough for a new value.
    var isReloaded: Bool { self == .logLevel || self == .tokensFile }

    /// `tls.keyFile` is tls, key and file.
    private var words: [String] {
        rawValue.reduce(into: [""]) { words, character in
            switch character {
            case ".": words.append("")
            case _ where character.isUppercase: words.append(character.lowercased())
            default: words[words.count - 1].append(character)
            }
        }
    }
}

/// A value, and where it was found.
struct Placed<Value> {
    let value: Value
    /// An option, a variable, or a file and a line.
    let place: String
}

extension Placed: Sendable where Value: Sendable {}

/// One mistake.
struct SettingIssue: Hashable, CustomStringConvertible {
    let place: String
    /// What is wrong, what was found, and what would be accepted.
    let detail: String

    var description: String { "\(place): \(detail)" }
}

/// All mistakes at once, one a line.
struct InvalidConfiguration: Error, CustomStringConvertible {
    let issues: [SettingIssue]

    init(_ issues: [SettingIssue]) {
        self.issues = issues
    }

    var description: String { issues.map(\.description).joined(separator: "\n") }
}
