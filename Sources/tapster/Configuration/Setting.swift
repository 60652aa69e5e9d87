/// A setting with a single value, which can be set by an option, an environment variable or the file.
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

    /// The key in the file; a dot separates a mapping's key from the key in it.
    var key: String { rawValue }

    /// `--tls-key-file`
    var option: String { "--" + words.joined(separator: "-") }

    /// `TAPSTER_TLS_KEY_FILE`
    var environmentName: String { "TAPSTER_" + words.joined(separator: "_").uppercased() }

    /// The origin of a value that no source sets.
    static let defaultPlace = "default"

    /// The default; `nil` if there is none.
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

    /// Whether a reload (SIGHUP) applies a new value; the other settings need a restart.
    var isReloaded: Bool { self == .logLevel || self == .tokensFile }

    /// The words of the key in lower case: `tls.keyFile` has `tls`, `key` and `file`.
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

/// A value and its origin.
struct Placed<Value> {
    let value: Value
    /// An option, an environment variable, a file and a line, or `default`.
    let place: String
}

extension Placed: Sendable where Value: Sendable {}

/// A mistake in the configuration.
struct SettingIssue: Hashable, CustomStringConvertible {
    let place: String
    /// What is wrong, what was found, and what would be accepted.
    let detail: String

    var description: String { "\(place): \(detail)" }
}

/// All mistakes in the configuration; the description has one line for each.
struct InvalidConfiguration: Error, CustomStringConvertible {
    let issues: [SettingIssue]

    init(_ issues: [SettingIssue]) {
        self.issues = issues
    }

    var description: String { issues.map(\.description).joined(separator: "\n") }
}
