internal import Foundation
internal import Synchronization
internal import TapCore
internal import TapHTTP
internal import TapEngine

/// Authenticates requests before they reach a route. Over TCP it also rejects those with a wrong `Host`
/// (`authenticated` only) or `Origin`; a browser cannot reach the Unix socket, where neither is checked.
final class Authenticator: Sendable {
    /// Which callers are accepted.
    enum Mode: Sendable {
        /// Authenticated callers only.
        case authenticated
        /// All callers, as guests: they may use open routes only.
        case `public`
    }

    /// A policy behind one reference: to copy its dictionaries for each request, all threads would count references to
    /// the same objects.
    private final class Rules: Sendable {
        let policy: AccessPolicy

        init(_ policy: AccessPolicy) {
            self.policy = policy
        }
    }

    private let daemonUser: UInt32
    private let rules: Mutex<Rules>

    init(_ policy: AccessPolicy, daemonUser: UInt32) {
        rules = Mutex(Rules(policy))
        self.daemonUser = daemonUser
    }

    /// Replaces the rules for later requests.
    func replace(_ policy: AccessPolicy) { rules.withLock { $0 = Rules(policy) } }

    /// - Returns: The caller and its permissions.
    /// - Throws: `AccessRefusal`, but never `.forbidden`, since the routes check the permissions.
    func authenticate(_ head: RequestHead, from origin: HTTPOrigin, in mode: Mode) throws(AccessRefusal) -> Identity {
        // All threads share the lock, and these callers need no rules.
        if case .authenticated = mode, case .local(let peer) = origin,
            AccessPolicy.isPrivileged(peer, daemonUser: daemonUser)
        {
            return Identity(proof: .peer(peer), permissions: Role.admin.permissions)
        }
        let rules = rules.withLock { $0 }
        if case .public = mode {
            try rules.policy.check(origin: head.header("origin"), site: head.header("sec-fetch-site"))
            return Identity(proof: .none(origin), permissions: .guest)
        }
        switch origin {
        case .local(let peer):
            // The socket's file permissions have decided who may connect, so that a peer without a role is a guest.
            let permissions = rules.policy.permissions(of: peer, daemonUser: daemonUser) ?? .guest
            return Identity(proof: .peer(peer), permissions: permissions)
        case .network(let peer):
            try rules.policy.check(host: head.header("host"))
            try rules.policy.check(origin: head.header("origin"), site: head.header("sec-fetch-site"))
            return try rules.policy.identify(peer, authorization: head.header("authorization"), now: Timestamp.now)
        }
    }
}

extension AccessPolicy {
    /// Rejects requests for other host names (DNS rebinding): the browser still sends the attacker's name in `Host`.
    ///
    /// - Throws: `AccessRefusal.misdirected`.
    func check(host: String?) throws(AccessRefusal) {
        guard let host, let name = HostName(authority: host), hosts.contain(name) else {
            throw .misdirected(host: host)
        }
    }

    /// Rejects cross-origin requests (CSRF). Only browsers send these fields: `Origin` (Fetch, section 3.2) with all
    /// requests but plain reads, and `Sec-Fetch-Site` (Fetch Metadata, section 2.4) with reads too.
    ///
    /// - Throws: `AccessRefusal.foreignOrigin`.
    func check(origin: String?, site: String?) throws(AccessRefusal) {
        if let origin {
            guard let page = try? WebOrigin(origin), origins.contains(page) else { throw .foreignOrigin(origin) }
        } else if let site, site != "same-origin", site != "none" {
            throw .foreignOrigin(site)
        }
    }

    /// A token takes precedence over a certificate: an invalid token is rejected even with a valid certificate.
    ///
    /// - Throws: `AccessRefusal.unauthenticated`.
    func identify(
        _ peer: HTTPNetworkPeer, authorization: String?, now: () -> Timestamp
    ) throws(AccessRefusal) -> Identity {
        if let authorization {
            let token = try token(authorization, now: now)
            return Identity(
                proof: .token(token.name, address: peer.address), permissions: token.role.permissions)
        }
        guard let certificate = peer.certificate else { throw .unauthenticated(.missing) }
        guard let role = role(of: certificate) else { throw .unauthenticated(.unknownCertificate(certificate)) }
        return Identity(proof: .certificate(certificate, address: peer.address), permissions: role.permissions)
    }

    private func role(of certificate: HTTPClientCertificate) -> Role? {
        certificates[.fingerprint(certificate.fingerprint)]
            ?? certificate.commonName.flatMap { certificates[.commonName($0)] }
    }

    /// Parses `Bearer`, in upper or lower case (RFC 9110, section 11.1), and the token (RFC 6750, section 2.1).
    private func token(_ authorization: String, now: () -> Timestamp) throws(AccessRefusal) -> AccessToken {
        let words = authorization.split(separator: " ", omittingEmptySubsequences: true)
        guard words.count == 2, words[0].lowercased() == "bearer" else { throw .unauthenticated(.otherScheme) }
        let digest = TokenDigest(of: String(words[1]))
        // Compares all tokens, so that the time does not reveal which one matched.
        var found: AccessToken?
        for token in tokens where token.digest.equals(digest) { found = token }
        guard let found else { throw .unauthenticated(.unknownToken) }
        if found.expiresAt != nil, found.hasExpired(by: now()) { throw .unauthenticated(.expiredToken(found.name)) }
        return found
    }
}
