internal import TapHTTP

extension AccessRefusal {
    /// What does not depend on the particular request.
    var row: Problem.Row {
        switch self {
        case .unauthenticated: .init(401, "UNAUTHENTICATED", "It is not known who asks")
        case .forbidden: .init(403, "FORBIDDEN", "The role does not allow it")
        case .misdirected: .init(421, "MISDIRECTED", "The request is meant for another host")
        case .foreignOrigin: .init(403, "FOREIGN_ORIGIN", "A web page of another origin asks")
        }
    }

    var detail: String {
        switch self {
        case .unauthenticated(let failure): failure.detail
        case .forbidden(let permission, let identity):
            "\(identity.name) has no role that allows it; "
                + (permission.role.map { "'\($0.rawValue)' would" } ?? "none does")
                + ": see \(identity.isLocal ? "'peers'" : "'tapster token' and 'certificates'") in the configuration"
        case .misdirected(let host):
            "\(host.map { "Host is '\($0)'" } ?? "there is no Host"), which is not a name of this server; "
                + "'allowedHosts' in the configuration says which are"
        case .foreignOrigin(let origin):
            "the request comes from a page ('\(origin)') that is not among 'allowedOrigins' in the configuration"
        }
    }

    /// Header fields of the answer.
    var headers: HTTPHeaders {
        switch self {
        case .unauthenticated(let failure): ["WWW-Authenticate": failure.challenge]
        case .forbidden, .misdirected, .foreignOrigin: [:]
        }
    }

    /// The label `reason` of `tapster_http_rejected_total`; `nil` for what a known caller may not do.
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
