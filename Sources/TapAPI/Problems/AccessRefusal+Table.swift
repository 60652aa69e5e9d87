internal import TapHTTP

extension AccessRefusal {
    /// Status, code and title.
    var row: Problem.Row {
        switch self {
        case .unauthenticated: .init(401, "UNAUTHENTICATED", "Authentication required")
        case .forbidden: .init(403, "FORBIDDEN", "Permission denied")
        case .misdirected: .init(421, "MISDIRECTED", "Misdirected request")
        case .foreignOrigin: .init(403, "FOREIGN_ORIGIN", "Cross-origin request rejected")
        }
    }

    /// What was wrong with this request, and what to do.
    var detail: String {
        switch self {
        case .unauthenticated(let failure): failure.detail
        case .forbidden(let permission, let identity):
            "\(identity.name) has no role with this permission; "
                + (permission.role.map { "the role '\($0.rawValue)' has it" } ?? "no role has it")
                + ": see \(identity.isLocal ? "'peers'" : "'tapster token' and 'certificates'") in the configuration"
        case .misdirected(let host):
            (host.map { "Host is '\($0)', which is not a name of this server" } ?? "the Host header field is missing")
                + "; 'allowedHosts' in the configuration lists the accepted names"
        case .foreignOrigin(let origin):
            "the request comes from a web page ('\(origin)') that 'allowedOrigins' in the configuration does not list"
        }
    }

    /// Header fields of the answer.
    var headers: HTTPHeaders {
        switch self {
        case .unauthenticated(let failure): ["WWW-Authenticate": failure.challenge]
        case .forbidden, .misdirected, .foreignOrigin: [:]
        }
    }

    /// The label `reason` of `tapster_http_rejected_total`; `nil` if an authenticated caller lacks a permission.
    var rejection: String? {
        switch self {
        case .unauthenticated: "unauthenticated"
        case .forbidden: nil
        case .misdirected: "misdirected"
        case .foreignOrigin: "foreignOrigin"
        }
    }
}

extension AuthenticationFailure {
    /// What was wrong with this request, and what to do.
    var detail: String {
        switch self {
        case .missing:
            "send 'Authorization: Bearer' and a token ('tapster token create' on the server's host creates one), or a "
                + "client certificate that 'certificates' in the server's configuration lists"
        case .otherScheme: "Authorization must be 'Bearer' and a token"
        case .unknownToken:
            "the token is unknown or was revoked; 'tapster token list' lists the valid tokens"
        case .expiredToken(let name): "the token '\(name)' has expired; 'tapster token create' creates a new one"
        case .unknownCertificate(let certificate):
            "'certificates' in the configuration does not list sha256:\(certificate.fingerprint)"
                + (certificate.commonName.map { " or '\($0)'" } ?? "")
        }
    }

    /// Value of `WWW-Authenticate` (RFC 6750, section 3).
    var challenge: String {
        switch self {
        case .missing, .unknownCertificate: #"Bearer realm="tapster""#
        case .otherScheme: #"Bearer realm="tapster", error="invalid_request""#
        case .unknownToken, .expiredToken: #"Bearer realm="tapster", error="invalid_token""#
        }
    }
}
