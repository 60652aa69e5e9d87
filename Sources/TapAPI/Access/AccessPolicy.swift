internal import TapHTTP
internal import TapSystem
internal import TapEngine

/// The access rules that the configuration and the tokens file define.
public final class AccessPolicy: Sendable {
    /// Roles of processes on the Unix socket, by their user and group IDs.
    public struct Peers: Sendable {
        /// Role of peers that no rule matches. `nil`: none; they may read health and lease queues of devices they own.
        public var fallback: Role?
        /// By user ID.
        public var users: [UInt32: Set<Role>]
        /// By group ID.
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

    /// Number of valid and expired tokens.
    public var tokensCount: Int { tokens.count }

    /// Whether a process has all permissions, whatever the rules.
    static func isPrivileged(_ peer: PeerCredentials, daemonUser: UInt32) -> Bool {
        peer.user == 0 || peer.user == daemonUser
    }

    /// Permissions of a process: root and the daemon's user have all; others have the union of the roles of their user
    /// and of all their groups.
    ///
    /// - Returns: `nil` if no rule matches and there is no fallback role.
    func permissions(of peer: PeerCredentials, daemonUser: UInt32) -> Permissions? {
        if Self.isPrivileged(peer, daemonUser: daemonUser) { return Role.admin.permissions }
        var roles = peers.users[peer.user] ?? []
        if !peers.groups.isEmpty {
            for group in [peer.group] + peer.supplementaryGroups { roles.formUnion(peers.groups[group] ?? []) }
        }
        guard !roles.isEmpty else { return peers.fallback?.permissions }
        return roles.reduce(into: []) { $0.formUnion($1.permissions) }
    }
}
