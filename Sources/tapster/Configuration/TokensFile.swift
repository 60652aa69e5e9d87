internal import Foundation
internal import Glibc
internal import TapCore
internal import TapDocument
internal import TapAPI
internal import TapSystem
internal import Yams

/// The file of access tokens. It has the tokens' hashes, not the tokens.
struct TokensFile {
    static let defaultPath = "/etc/tapster/tokens.yaml"
    /// The token of each request is compared with each token in the file.
    static let tokensMax = 1_024
    /// The daemon reads the file as a member of its group.
    private static let mode: UInt32 = 0o640

    let path: String

    /// - Parameter owners: The users that may own the file; `nil` if any user may.
    /// - Returns: All tokens in the file, expired ones too.
    /// - Throws: `InvalidConfiguration` if the file cannot be read, other users can read it, or it has mistakes.
    func read(owners: Set<uid_t>?) throws(InvalidConfiguration) -> [AccessToken] {
        try Self.parse(PrivateFile(path, of: "tokensFile", owners: owners).text, path: path)
    }

    /// Changes the file durably and atomically. A lock serialises concurrent updates.
    ///
    /// - Parameters:
    ///   - group: The group of a new file; `nil` for the caller's.
    ///   - change: Changes the tokens.
    /// - Throws: `InvalidConfiguration` of `change`, or if the file cannot be read or written.
    func update(
        group: gid_t?, _ change: (inout [AccessToken]) throws(InvalidConfiguration) -> Void
    ) throws(InvalidConfiguration) {
        let directory = try lockedDirectory()
        var old: PrivateFile?
        if FileManager.default.fileExists(atPath: path) {
            old = try PrivateFile(path, of: "tokensFile", owners: nil)
        }
        var tokens = try old.map { old throws(InvalidConfiguration) in try Self.parse(old.text, path: path) } ?? []
        try change(&tokens)
        guard tokens.count <= Self.tokensMax else {
            throw failure("at most \(Self.tokensMax) tokens are allowed; 'tapster token revoke' removes one")
        }
        let name = URL(fileURLWithPath: path).lastPathComponent
        let new = ".\(name).\(getpid())"
        do throws(Errno) {
            try write(Self.text(of: tokens), new, in: directory, like: old?.status, group: group)
            try FileSystem.rename(new, to: name, in: directory)
            try directory.synchronize()
        } catch {
            try? FileSystem.remove(new, in: directory)
            throw failure("the file cannot be written: \(error.meaning)")
        }
    }

    /// Each update replaces the file, so the lock is on its directory.
    private func lockedDirectory() throws(InvalidConfiguration) -> FileDescriptor {
        let place = URL(fileURLWithPath: path).deletingLastPathComponent()
        try? FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        do throws(Errno) {
            let directory = try FileDescriptor(opening: place.path, flags: O_RDONLY | O_DIRECTORY)
            try directory.lock(waits: true)
            return directory
        } catch {
            throw failure("\(place.path) cannot be opened and locked: \(error.meaning)")
        }
    }

    private func write(
        _ text: String, _ name: String, in directory: borrowing FileDescriptor, like old: FileStatus?, group: gid_t?
    ) throws(Errno) {
        let file = try FileDescriptor(
            opening: name, in: directory, flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
        // Only root can change the owner; otherwise the file belongs to the caller.
        if let old {
            try? file.setOwner(user: old.owner, group: old.group)
        } else if let group {
            try? file.setOwner(user: nil, group: group)
        }
        try file.setMode(old?.permissions ?? Self.mode)
        try file.write(Array(text.utf8), at: 0)
        try file.synchronize()
    }

    private func failure(_ detail: String) -> InvalidConfiguration {
        InvalidConfiguration([SettingIssue(place: path, detail: detail)])
    }
}

extension TokensFile {
    private static let keys = ["name", "role", "sha256", "createdAt", "expiresAt"]

    static func text(of tokens: [AccessToken]) -> String {
        let items = tokens.map { token in
            """
              - name: "\(token.name)"
                role: \(token.role.rawValue)
                sha256: "\(token.digest.hexadecimal)"
                createdAt: "\(token.createdAt.text)"

            """ + (token.expiresAt.map { "    expiresAt: \"\($0.text)\"\n" } ?? "")
        }
        return "# Written by 'tapster token'. After a change by hand: systemctl reload tapster\n"
            + (items.isEmpty ? "tokens: []\n" : "tokens:\n" + items.joined())
    }

    static func parse(_ text: String, path: String) throws(InvalidConfiguration) -> [AccessToken] {
        var reader = YAMLReader(file: path)
        var tokens: [AccessToken] = []
        if let root = reader.root(of: text), !reader.isNull(root) {
            for (_, _, list) in reader.entries(root, of: "the file", keys: ["tokens"]) {
                for item in reader.list(list, of: "'tokens'") {
                    guard let token = token(item, &reader) else { continue }
                    if tokens.contains(where: { $0.name == token.name }) {
                        reader.fail(YAMLReader.line(item), "duplicate token '\(token.name)'")
                    }
                    tokens.append(token)
                }
            }
        }
        guard tokens.count <= tokensMax else {
            throw InvalidConfiguration([SettingIssue(place: path, detail: "at most \(tokensMax) tokens are allowed")])
        }
        guard reader.issues.isEmpty else { throw InvalidConfiguration(reader.issues) }
        return tokens
    }

    private static func token(_ node: Node, _ reader: inout YAMLReader) -> AccessToken? {
        var nodes: [String: Node] = [:]
        for (key, _, value) in reader.entries(node, of: "a token", keys: keys) { nodes[key] = value }
        for key in keys.dropLast() where nodes[key] == nil { reader.fail(YAMLReader.line(node), "'\(key)' is missing") }
        func value<Value>(_ key: String, _ parse: (String) throws(ValidationError) -> Value) -> Value? {
            nodes[key].flatMap { reader.value($0, of: "'\(key)'", parse) }
        }
        let name = value("name") { text throws(ValidationError) in try TokenName(text) }
        let role = value("role", Role.init(text:))
        let digest = value("sha256") { text throws(ValidationError) in
            guard let digest = TokenDigest(hexadecimal: text) else {
                throw ValidationError("it must have 64 hexadecimal digits, as 'tapster token create' writes them")
            }
            return digest
        }
        let created = value("createdAt", Timestamp.init(text:))
        let expires = value("expiresAt", Timestamp.init(text:))
        guard let name, let role, let digest, let created, expires != nil || nodes["expiresAt"] == nil else {
            return nil
        }
        return AccessToken(name: name, role: role, digest: digest, createdAt: created, expiresAt: expires)
    }
}
