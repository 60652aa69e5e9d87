/// Who is on the other side of a connection.
public enum HTTPOrigin: Hashable, Sendable {
    /// A process of this host, on the Unix socket.
    case local(HTTPPeer)
    case network(HTTPNetworkPeer)
}

/// A client that came over TCP.
public struct HTTPNetworkPeer: Hashable, Sendable {
    /// Its end of the connection: `127.0.0.1:4711`, `[::1]:4711`.
    public let address: String
    public let isEncrypted: Bool
    /// Its certificate, which has been verified. Without a client authority nobody is asked for one.
    public internal(set) var certificate: HTTPClientCertificate?

    public init(address: String, isEncrypted: Bool, certificate: HTTPClientCertificate? = nil) {
        self.address = address
        self.isEncrypted = isEncrypted
        self.certificate = certificate
    }
}

/// What a client's certificate (RFC 5280) says of it.
public struct HTTPClientCertificate: Hashable, Sendable {
    /// The subject's common name; nothing when there is none, or more than one.
    public let commonName: String?
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    public let fingerprint: String
    /// The alternative names that are host names.
    public let dnsNames: [String]
    /// The alternative names that are URIs, as SPIFFE has them.
    public let uris: [String]

    public init(commonName: String?, fingerprint: String, dnsNames: [String] = [], uris: [String] = []) {
        self.commonName = commonName
        self.fingerprint = fingerprint
        self.dnsNames = dnsNames
        self.uris = uris
    }
}
