internal import Foundation
internal import Glibc
internal import TapCore
internal import TapHTTP
internal import TapAPI
internal import TapSystem

extension Configuration {
    /// The access policy. Reads the tokens file, if `listen` is not `nil`.
    ///
    /// - Parameters:
    ///   - accounts: Resolves the names of users and groups.
    ///   - owners: The users that may own private files; `nil` if any user may.
    ///   - listen: The address on which the daemon listens; a reload does not change it.
    /// - Returns: The policy, and an issue for each rule whose user or group does not exist.
    /// - Throws: `InvalidConfiguration` if the tokens file is invalid.
    func policy(
        accounts: some Accounts, owners: Set<uid_t>?, listen: NetworkAddress?
    ) throws(InvalidConfiguration) -> (policy: AccessPolicy, unknownPrincipals: [SettingIssue]) {
        var unknownPrincipals: [SettingIssue] = []
        func numbers(
            _ rules: [(key: Principal, value: Role, place: String)], _ kind: String, _ number: (Principal) -> UInt32?
        ) -> [UInt32: Set<Role>] {
            rules.reduce(into: [:]) { numbers, rule in
                if let id = number(rule.key) {
                    numbers[id, default: []].insert(rule.value)
                } else {
                    unknownPrincipals.append(
                        SettingIssue(place: rule.place, detail: "there is no \(kind) '\(rule.key)'"))
                }
            }
        }
        let peers = AccessPolicy.Peers(
            fallback: access.fallback, users: numbers(access.users, "user", accounts.userNumber),
            groups: numbers(access.groups, "group", accounts.groupNumber))
        let policy = AccessPolicy(
            peers: peers, tokens: listen == nil ? [] : try tokens(owners: owners), certificates: access.certificates,
            hosts: listen?.hosts(and: access.hosts) ?? AllowedHosts([]), origins: access.origins)
        return (policy, unknownPrincipals)
    }

    private func tokens(owners: Set<uid_t>?) throws(InvalidConfiguration) -> [AccessToken] {
        if let tokensFile { return try TokensFile(path: tokensFile).read(owners: owners) }
        guard FileManager.default.fileExists(atPath: TokensFile.defaultPath) else { return [] }
        return try TokensFile(path: TokensFile.defaultPath).read(owners: owners)
    }
}

extension TLSFiles {
    /// Reads the files.
    ///
    /// - Throws: `InvalidConfiguration` if a file cannot be read, other users can read the key, or the key does not
    ///   match the certificate.
    func load(owners: Set<uid_t>?) throws(InvalidConfiguration) -> HTTPTLS {
        func text(_ path: String, _ setting: Setting) throws(InvalidConfiguration) -> String {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw InvalidConfiguration([
                    SettingIssue(place: path, detail: "\(setting.key): the file cannot be read")
                ])
            }
            return String(decoding: data, as: UTF8.self)
        }
        let chain = try text(certificate, .certificateFile)
        let secret = try PrivateFile(key, of: Setting.keyFile.key, owners: owners).text
        let authorities = try clientAuthority.map { path throws(InvalidConfiguration) in
            try text(path, .clientAuthorityFile)
        }
        do throws(HTTPServerError) {
            return try HTTPTLS(certificates: chain, key: secret, clientAuthorities: authorities)
        } catch {
            throw InvalidConfiguration([SettingIssue(place: certificate, detail: error.description)])
        }
    }
}
