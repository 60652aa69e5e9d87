internal import TapHTTP
internal import TapSystem
internal import TapEngine

/// Who may what: what the configuration and the tokens' file say, once they are read.
public final class AccessPolicy: Sendable {
    /// What the processes on the Unix socket may, by the numbers of their users and groups.
    public struct Peers: Sendable {
        /// Of everybody whom neither map names; nothing means no role: they see health, and lease what is theirs.
        public var fallback: Role?
        public var users: [UInt32: Set<Role>]
        public var groups: [UInt32: Set<Role>]

        public init(
            fallback: Role? = .viewer, users: [UInt32: Set<Role>] = [:], groups: [UInt32: Set<Role>] = [:]
        ) {
            self.fallback = fallback
            self.users = users
            self.groups = groups
        }
    }

    let peers: Peers
    let tokens: [AccessToken]
    let certificates: [CertificateName: Role]
    let hosts: AllowedHosts
    let origins: Set<WebOrigin>

    public init(
        peers: Peers = Peers(), tokens: [AccessToken] = [], certificates: [CertificateName: Role] = [:],
        hosts: AllowedHosts = AllowedHosts([]), origins: Set<WebOrigin> = []
    ) {
        self.peers = peers
        self.tokens = tokens
        self.certificates = certificates
        self.hosts = hosts
        self.origins = origins
    }

    public var tokensCount: Int { tokens.count }

    /// What a process may: root and the daemon's own user all, others what their user and all their groups give
    /// together.
    ///
    /// - Returns: Nothing for whom no rule names, where there is no role for those.
    func permissions(of peer: PeerCredentials, daemonUser: UInt32) -> Permissions? {
        if peer.user == 0 || peer.user == daemonUser { return Role.admin.permissions }
        var roles = peers.users[peer.user] ?? []
        if !peers.groups.isEmpty {
            for group in [peer.group] + peer.supplementaryGroups { roles.formUnion(peers.groups[group] ?? []) }
        }
        guard !roles.isEmpty else { return peers.fallback?.permissions }
        return roles.reduce(into: []) { $0.formUnion($1.permissions) }
    }
}
