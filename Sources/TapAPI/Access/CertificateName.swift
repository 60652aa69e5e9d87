public import TapCore
internal import TapEngine

/// Identifies a client certificate by the common name of its subject or by its fingerprint.
public enum CertificateName: Hashable, Sendable, CustomStringConvertible {
    /// The common name of the subject (RFC 5280, section 4.1.2.6).
    case commonName(String)
    /// SHA-256 of the certificate in DER, 64 hexadecimal digits in lower case.
    case fingerprint(String)

    private static let prefix = "sha256:"
    /// `ub-common-name` (RFC 5280, appendix A.1).
    private static let commonNameCharactersMax = 64

    /// - Parameter text: A common name, or `sha256:` and the digits, with or without colons between them as in the
    ///   output of openssl(1).
    /// - Throws: `ValidationError` if the common name or the fingerprint is invalid.
    public init(_ text: String) throws(ValidationError) {
        guard text.lowercased().hasPrefix(Self.prefix) else {
            guard !text.isEmpty, text.count <= Self.commonNameCharactersMax else {
                throw ValidationError("a common name has 1 to \(Self.commonNameCharactersMax) characters")
            }
            self = .commonName(text)
            return
        }
        let digits = text.dropFirst(Self.prefix.count).filter { $0 != ":" }.lowercased()
        guard digits.count == 64, digits.allSatisfy(\.isHexDigit) else {
            throw ValidationError("'\(text)' is not a fingerprint: 'sha256:' and 64 hexadecimal digits")
        }
        self = .fingerprint(digits)
    }

    /// As `init` reads it; a fingerprint without colons.
    public var description: String {
        switch self {
        case .commonName(let name): name
        case .fingerprint(let digits): Self.prefix + digits
        }
    }
}
