internal import TapHTTP

/// Why a request is rejected by the access rules.
enum AccessRefusal: Error, Sendable {
    /// The request has no valid token and no known client certificate.
    case unauthenticated(AuthenticationFailure)
    /// The caller is authenticated, but has no role with the permission.
    case forbidden(Permission, Identity)
    /// Over TCP: `Host` is missing or is not a name of this server.
    case misdirected(host: String?)
    /// A browser sends the request for a page of another origin.
    case foreignOrigin(String)
}

/// Why the caller is not authenticated.
enum AuthenticationFailure: Sendable {
    /// Neither `Authorization` nor a client certificate.
    case missing
    /// `Authorization` has another scheme than `Bearer`.
    case otherScheme
    case unknownToken
    case expiredToken(TokenName)
    case unknownCertificate(HTTPClientCertificate)
}
