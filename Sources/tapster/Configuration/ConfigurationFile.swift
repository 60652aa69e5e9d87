internal import Foundation
internal import TapCore
internal import TapAPI
internal import Yams

/// The contents of a configuration file, and the mistakes in it.
struct ConfigurationFile {
    static let defaultPath = "/etc/tapster/tapster.yaml"
    private static let bytesMax = 1 << 20

    /// The settings in the file; a `null` replaces the default by no value.
    private(set) var settings: [Setting: Placed<String?>] = [:]
    private(set) var access = AccessRules()
    private(set) var issues: [SettingIssue] = []

    /// The path of the configuration file: of `--config`, of `TAPSTER_CONFIG`, or the default path if that file exists.
    ///
    /// - Parameter option: The value of `--config`.
    /// - Returns: `nil` if there is no file.
    static func path(named option: String?) -> String? {
        if let named = option ?? Environment.value("CONFIG") { return named }
        return FileManager.default.fileExists(atPath: defaultPath) ? defaultPath : nil
    }

    /// An empty configuration.
    init() {}

    /// - Parameter path: The file's path, which also prefixes the mistakes.
    /// - Throws: `InvalidConfiguration` if the file cannot be read. Mistakes in its contents are in `issues`.
    init(path: String) throws(InvalidConfiguration) {
        guard let data = FileManager.default.contents(atPath: path), data.count <= Self.bytesMax else {
            throw InvalidConfiguration([
                SettingIssue(
                    place: path,
                    detail: FileManager.default.fileExists(atPath: path)
                        ? "the file cannot be read, or has more than \(Self.bytesMax) bytes" : "there is no such file")
            ])
        }
        self.init(String(decoding: data, as: UTF8.self), path: path)
    }

    init(_ text: String, path: String) {
        var reader = YAMLReader(file: path)
        if let root = reader.root(of: text), !reader.isNull(root) { read(root, &reader) }
        issues = reader.issues
    }

    private static let lists = ["allowedHosts", "allowedOrigins", "peers", "certificates"]

    private mutating func read(_ root: Node, _ reader: inout YAMLReader) {
        let plain = Setting.allCases.filter { !$0.key.contains(".") }.map(\.key)
        for (key, line, value) in reader.entries(root, of: "the file", keys: plain + ["tls"] + Self.lists) {
            switch key {
            case "tls": readGroup(value, "tls", &reader)
            case "allowedHosts": access.hosts = names(value, of: key, &reader, HostName.init)
            case "allowedOrigins": access.origins = names(value, of: key, &reader, WebOrigin.init)
            case "peers": readPeers(value, &reader)
            case "certificates":
                access.certificates = roles(value, of: key, &reader) { text throws(ValidationError) in
                    try CertificateName(text)
                }.reduce(into: [:]) { $0[$1.key] = $1.value }
            default: set(Setting(rawValue: key), line, value, &reader)
            }
        }
    }

    /// Reads a mapping of settings whose keys have a dot, such as `tls.keyFile`.
    private mutating func readGroup(_ node: Node, _ group: String, _ reader: inout YAMLReader) {
        if reader.isNull(node) { return }
        let known = Setting.allCases.filter { $0.key.hasPrefix(group + ".") }
        let keys = known.map { String($0.key.dropFirst(group.count + 1)) }
        for (key, line, value) in reader.entries(node, of: group, keys: keys) {
            set(Setting(rawValue: "\(group).\(key)"), line, value, &reader)
        }
    }

    private mutating func set(_ setting: Setting?, _ line: Int, _ value: Node, _ reader: inout YAMLReader) {
        guard let setting else { return }
        if reader.isNull(value) {
            settings[setting] = Placed(value: nil, place: reader.place(line))
        } else if let text = reader.text(value, of: "'\(setting.key)'") {
            settings[setting] = Placed(value: text, place: reader.place(line))
        }
    }

    private mutating func readPeers(_ node: Node, _ reader: inout YAMLReader) {
        if reader.isNull(node) { return }
        for (key, _, value) in reader.entries(node, of: "'peers'", keys: ["default", "users", "groups"]) {
            switch key {
            case "default":
                access.fallback =
                    reader.isNull(value) ? nil : reader.value(value, of: "'peers.default'", Role.init(text:))
            case "users":
                access.users = roles(value, of: "peers.users", &reader, Principal.init(text:))
            default:
                access.groups = roles(value, of: "peers.groups", &reader, Principal.init(text:))
            }
        }
    }

    private func names<Name: Hashable>(
        _ node: Node, of key: String, _ reader: inout YAMLReader,
        _ parse: (String) throws(ValidationError) -> Name
    ) -> Set<Name> {
        var names: Set<Name> = []
        for item in reader.list(node, of: "'\(key)'") {
            if let name = reader.value(item, of: "'\(key)'", parse) { names.insert(name) }
        }
        return names
    }

    /// Reads a mapping of names to roles.
    private func roles<Name: Hashable>(
        _ node: Node, of key: String, _ reader: inout YAMLReader,
        _ parse: (String) throws(ValidationError) -> Name
    ) -> [(key: Name, value: Role, place: String)] {
        if reader.isNull(node) { return [] }
        var roles: [(key: Name, value: Role, place: String)] = []
        for (text, line, value) in reader.entries(node, of: "'\(key)'") {
            let name = reader.value(text, line: line, of: "'\(key)'", parse)
            let role = reader.value(value, of: "'\(key)', \(text)", Role.init(text:))
            guard let name, let role else { continue }
            if roles.contains(where: { $0.key == name }) {
                reader.fail(line, "'\(key)': duplicate key '\(text)'")
            } else {
                roles.append((name, role, reader.place(line)))
            }
        }
        return roles
    }
}

/// The access rules of the file, whose users and groups are not resolved yet.
struct AccessRules {
    /// The role of users that no rule matches; `nil` if they have none.
    var fallback: Role? = .viewer
    var users: [(key: Principal, value: Role, place: String)] = []
    var groups: [(key: Principal, value: Role, place: String)] = []
    var certificates: [CertificateName: Role] = [:]
    var hosts: Set<HostName> = []
    var origins: Set<WebOrigin> = []
}
