internal import TapHTTP
internal import TapSystem
internal import TapEngine

/// The caller of a request, how it was authenticated, and its permissions.
struct Identity: Sendable {
    enum Proof: Sendable {
        /// Reported by the kernel (`SO_PEERCRED`, unix(7)).
        case peer(PeerCredentials)
        case token(TokenName, address: String)
        case certificate(HTTPClientCertificate, address: String)
        /// Not authenticated: a request to a public listener.
        case none(HTTPOrigin)
    }

    let proof: Proof
    let permissions: Permissions

    /// Name in the history: `uid:0`, `token:ci`, `certificate:prometheus`.
    var name: String {
        switch proof {
        case .peer(let peer): "uid:\(peer.user)"
        case .token(let name, _): "token:\(name)"
        case .certificate(let certificate, _):
            "certificate:\(certificate.commonName ?? "sha256:" + certificate.fingerprint)"
        case .none: "anonymous"
        }
    }

    /// Where the request comes from: a process, such as `pid 17`, or an address.
    var source: String {
        switch proof {
        case .peer(let peer): "pid \(peer.process)"
        case .token(_, let address), .certificate(_, let address): address
        case .none(let origin): Self.source(of: origin)
        }
    }

    /// `source` of a caller that is not authenticated.
    static func source(of origin: HTTPOrigin) -> String {
        switch origin {
        case .local(let peer): "pid \(peer.process)"
        case .network(let peer): peer.address
        }
    }

    /// Whether the caller is connected by the Unix socket.
    var isLocal: Bool {
        if case .peer = proof { true } else { false }
    }

    /// Whether the caller may use the route. Local callers pass `.lease` here: ownership of the device is checked when
    /// the lease is granted.
    func allows(_ permission: Permission) -> Bool {
        permissions.contains(permission) || (permission == .lease && isLocal)
    }
}
