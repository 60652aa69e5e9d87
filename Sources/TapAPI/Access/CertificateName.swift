public import TapCore
internal import TapEngine

/// What tells client certificates apart: their subject's common name, or all of them.
public enum CertificateName: Hashable, Sendable, CustomStringConvertible {
    case commonName(String)
    /// SHA-256 of the certificate in DER, 64 hexadecimal digits in lower case.
    case fingerprint(String)

    private static let prefix = "sha256:"
    /// `ub-common-name` (RFC 5280, appendix A.1).
    private static let commonNameCharactersMax = 64

    /// - Parameter text: A common name, or `sha256:` and the digits, which may have colons between them as openssl(1)
    ///   has.
    /// - Throws: `ValidationError` for anything else.
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
            throw ValidationError("'\(text)' is no fingerprint: sha256: and 64 hexadecimal digits")
        }
        self = .fingerprint(digits)
    }

    public var description: String {
        switch self {
        case .commonName(let name): name
        case .fingerprint(let digits): Self.prefix + digits
        }
    }
}
