public import TapSystem

/// The client of a connection.
public enum HTTPOrigin: Hashable, Sendable {
    /// A process of this host, on the Unix socket.
    case local(PeerCredentials)
    /// A client over TCP.
    case network(HTTPNetworkPeer)
}

/// A client that connected over TCP.
public struct HTTPNetworkPeer: Hashable, Sendable {
    /// The client's address and port: `127.0.0.1:4711`, `[::1]:4711`.
    public let address: String
    /// The client's verified certificate. `nil` if it sent none; it is requested only if there is a client authority.
    public internal(set) var certificate: HTTPClientCertificate?

    public init(address: String, certificate: HTTPClientCertificate? = nil) {
        self.address = address
        self.certificate = certificate
    }
}

/// The identity in a client's certificate (RFC 5280).
public struct HTTPClientCertificate: Hashable, Sendable {
    /// The subject's common name; `nil` unless there is exactly one.
    public let commonName: String?
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    public let fingerprint: String

    public init(commonName: String?, fingerprint: String) {
        self.commonName = commonName
        self.fingerprint = fingerprint
    }
}
