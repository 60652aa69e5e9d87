internal import TapHTTP

extension Problem {
    /// As it is counted, of who was not let in; nothing for other problems.
    var rejection: String? {
        switch self {
        case .unauthenticated: "unauthenticated"
        case .misdirected: "misdirected"
        case .foreignPage: "foreignOrigin"
        case .bodyTooLarge: HTTPRejection.bodyTooLarge.rawValue
        default: nil
        }
    }

    /// Why it is not known who asks.
    enum Doubt: Sendable {
        case missing
        case otherScheme
        case unknownToken
        case expiredToken(TokenName)
        case unknownCertificate(HTTPClientCertificate)

        var detail: String {
            switch self {
            case .missing:
                "send 'Authorization: Bearer' and a token, which 'tapster token create' makes on the server's host, or "
                    + "come with a certificate that its configuration knows"
            case .otherScheme: "Authorization must be 'Bearer' and a token"
            case .unknownToken:
                "the token is not known, or was revoked; 'tapster token list' shows those that are valid"
            case .expiredToken(let name): "the token '\(name)' has expired; 'tapster token create' makes another"
            case .unknownCertificate(let certificate):
                "no rule of 'certificates' in the configuration is for sha256:\(certificate.fingerprint)"
                    + (certificate.commonName.map { " or '\($0)'" } ?? "")
            }
        }

        /// Of RFC 6750, section 3.
        var challenge: String {
            switch self {
            case .missing, .unknownCertificate: #"Bearer realm="tapster""#
            case .otherScheme: #"Bearer realm="tapster", error="invalid_request""#
            case .unknownToken, .expiredToken: #"Bearer realm="tapster", error="invalid_token""#
            }
        }
    }
}
