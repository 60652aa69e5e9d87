internal import TapHTTP

/// Why a request is not let in.
enum AccessRefusal: Error, Sendable {
    /// A valid token or a known client certificate is needed.
    case unauthenticated(AuthenticationFailure)
    /// The caller is known, and has no role that allows it.
    case forbidden(Permission, Identity)
    /// Over TCP, for a host name that is not this server's.
    case misdirected(host: String?)
    /// A browser sends it for a page of another origin.
    case foreignOrigin(String)
}

/// Why the caller is not authenticated.
enum AuthenticationFailure: Sendable {
    case missing
    case otherScheme
    case unknownToken
    case expiredToken(TokenName)
    case unknownCertificate(HTTPClientCertificate)
}
