internal import Foundation
internal import Logging
internal import TapCore
internal import TapAPI
internal import TapSystem

/// The daemon's configuration, from options, the environment and the file, in this order of precedence.
struct Configuration {
    /// The effective text of each setting; `nil` if it has no value.
    let settings: [Setting: Placed<String?>]
    /// The path of the file; `nil` if there is none.
    let file: String?

    let database: String
    let socket: String
    let socketGroup: Principal
    let listen: NetworkAddress?
    let metricsListen: NetworkAddress?
    let tls: TLSFiles?
    let tokensFile: String?
    let logLevel: Logger.Level
    let logFormat: LogFormat
    let access: AccessRules

    /// - Parameters:
    ///   - options: The options of the command line.
    ///   - environment: All environment variables.
    ///   - path: The path of the file, if there is one.
    /// - Throws: `InvalidConfiguration` with all mistakes of all sources.
    init(options: [Setting: String], environment: [String: String], file path: String? = nil)
        throws(InvalidConfiguration)
    {
        try self.init(
            options: options, environment: environment, path: path,
            file: path.map { path throws(InvalidConfiguration) in try ConfigurationFile(path: path) }
                ?? ConfigurationFile())
    }

    init(
        options: [Setting: String], environment: [String: String], path: String?, file contents: ConfigurationFile
    ) throws(InvalidConfiguration) {
        var reader = SettingReader(options: options, environment: environment, file: contents)
        file = path
        access = contents.access
        let database = reader.path(.database)
        let socket = reader.path(.socket)
        let socketGroup = reader.value(.socketGroup, Principal.init(text:))
        listen = reader.value(.listen) { text throws(ValidationError) in try NetworkAddress(setting: text) }
        metricsListen = reader.value(.metricsListen) { text throws(ValidationError) in try NetworkAddress(setting: text)
        }
        let certificate = reader.path(.certificateFile)
        let key = reader.path(.keyFile)
        let authority = reader.path(.clientAuthorityFile)
        tls = reader.tls(certificate: certificate, key: key, authority: authority)
        tokensFile = reader.path(.tokensFile)
        let level = reader.value(.logLevel) { text throws(ValidationError) in try Logger.Level(text: text) }
        let format = reader.value(.logFormat) { text throws(ValidationError) in try LogFormat(text: text) }
        reader.require([.database, .socket, .socketGroup, .logLevel, .logFormat])
        if let listen, !listen.isLoopback, tls == nil {
            reader.fail(
                .listen,
                "other hosts can reach \(listen), and would send tokens over the network unencrypted; "
                    + "set tls.certificateFile and tls.keyFile, or listen on 127.0.0.1 or [::1]")
        }
        settings = reader.settings
        guard reader.issues.isEmpty, let database, let socket, let socketGroup, let level, let format else {
            throw InvalidConfiguration(reader.issues)
        }
        self.database = database
        self.socket = socket
        self.socketGroup = socketGroup
        logLevel = level
        logFormat = format
    }

    /// The settings that differ from `other` and take effect only after a restart.
    func needingRestart(for other: Configuration) -> [Setting] {
        Setting.allCases.filter { !$0.isReloaded && settings[$0]?.value != other.settings[$0]?.value }
    }
}

/// The paths of the PEM files for TLS.
struct TLSFiles {
    let certificate: String
    let key: String
    let clientAuthority: String?
}

/// Parses the text of each setting, and collects the mistakes.
private struct SettingReader {
    private(set) var settings: [Setting: Placed<String?>] = [:]
    private(set) var issues: [SettingIssue]

    /// The first source that has a setting counts. An empty environment variable is treated as unset.
    init(options: [Setting: String], environment: [String: String], file: ConfigurationFile) {
        issues = file.issues
        for setting in Setting.allCases {
            let variable = environment[setting.environmentName].flatMap { $0.isEmpty ? nil : $0 }
            settings[setting] =
                options[setting].map { Placed(value: $0, place: setting.option) }
                ?? variable.map { Placed(value: $0, place: setting.environmentName) }
                ?? file.settings[setting] ?? Placed(value: setting.fallback, place: Setting.defaultPlace)
        }
    }

    private func place(_ setting: Setting) -> String { settings[setting]?.place ?? setting.key }

    mutating func fail(_ setting: Setting, _ detail: String) {
        issues.append(SettingIssue(place: place(setting), detail: "\(setting.key): \(detail)"))
    }

    mutating func value<Value>(
        _ setting: Setting, _ parse: (String) throws(ValidationError) -> Value
    ) -> Value? {
        guard let text = settings[setting]?.value else { return nil }
        do throws(ValidationError) { return try parse(text) } catch {
            fail(setting, error.detail)
            return nil
        }
    }

    mutating func path(_ setting: Setting) -> String? {
        value(setting) { text throws(ValidationError) in
            guard !text.isEmpty, !text.utf8.contains(0) else { throw ValidationError("'\(text)' is not a path") }
            return text
        }
    }

    /// Fails for settings that must not be null.
    mutating func require(_ needed: [Setting]) {
        for setting in needed where settings[setting]?.value == nil { fail(setting, "has no value") }
    }

    /// Fails if there is a certificate without a key, a key without a certificate, or an authority without both.
    mutating func tls(certificate: String?, key: String?, authority: String?) -> TLSFiles? {
        if let certificate, let key {
            return TLSFiles(certificate: certificate, key: key, clientAuthority: authority)
        }
        let given: [Setting] = [.certificateFile, .keyFile, .clientAuthorityFile].filter { settings[$0]?.value != nil }
        if let first = given.first {
            fail(first, "TLS needs both \(Setting.certificateFile.key) and \(Setting.keyFile.key)")
        }
        return nil
    }
}

extension Logger.Level {
    init(text: String) throws(ValidationError) {
        guard let level = Logger.Level(rawValue: text) else {
            throw ValidationError("'\(text)' is not a log level; it must be debug, info, warning or error")
        }
        self = level
    }
}

extension LogFormat {
    init(text: String) throws(ValidationError) {
        guard let format = LogFormat(rawValue: text) else {
            throw ValidationError("'\(text)' is not a log format; it must be text or json")
        }
        self = format
    }
}
