internal import TapHTTP
internal import TapSystem

/// Who asks, as it was established, and what he may.
struct Identity: Sendable {
    enum Proof: Sendable {
        /// The kernel's word (`SO_PEERCRED`, unix(7)).
        case peer(PeerCredentials)
        case token(TokenName, address: String)
        case certificate(HTTPClientCertificate, address: String)
        /// None was asked for.
        case none(HTTPOrigin)
    }

    let proof: Proof
    let permissions: Permissions

    /// For the history: `uid:0`, `token:ci`, `certificate:prometheus`.
    var name: String {
        switch proof {
        case .peer(let peer): "uid:\(peer.user)"
        case .token(let name, _): "token:\(name)"
        case .certificate(let certificate, _):
            "certificate:\(certificate.commonName ?? "sha256:" + certificate.fingerprint)"
        case .none: "anonymous"
        }
    }

    /// From where: a process or an address.
    var source: String {
        switch proof {
        case .peer(let peer): "pid \(peer.process)"
        case .token(_, let address), .certificate(_, let address): address
        case .none(let origin): Self.source(of: origin)
        }
    }

    static func source(of origin: HTTPOrigin) -> String {
        switch origin {
        case .local(let peer): "pid \(peer.process)"
        case .network(let peer): peer.address
        }
    }

    var isLocal: Bool {
        if case .peer = proof { true } else { false }
    }

    /// Whether it may have the route tried.
    ///
    /// Whose the queues are is known where they are handed out, so that whoever could get one comes so far.
    func allows(_ permission: Permission) -> Bool {
        permissions.contains(permission) || (permission == .lease && isLocal)
    }
}
