public import TapSystem

/// Who is on the other side of a connection.
public enum HTTPOrigin: Hashable, Sendable {
    /// A process of this host, on the Unix socket.
    case local(PeerCredentials)
    case network(HTTPNetworkPeer)
}

/// A client that came over TCP.
public struct HTTPNetworkPeer: Hashable, Sendable {
    /// Its end of the connection: `127.0.0.1:4711`, `[::1]:4711`.
    public let address: String
    /// Its certificate, which has been verified. Without a client authority nobody is asked for one.
    public internal(set) var certificate: HTTPClientCertificate?

    public init(address: String, certificate: HTTPClientCertificate? = nil) {
        self.address = address
        self.certificate = certificate
    }
}

/// What a client's certificate (RFC 5280) says of it.
public struct HTTPClientCertificate: Hashable, Sendable {
    /// The subject's common name; nothing when there is none, or more than one.
    public let commonName: String?
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    public let fingerprint: String

    public init(commonName: String?, fingerprint: String) {
        self.commonName = commonName
        self.fingerprint = fingerprint
    }
}
