internal import TapHTTP
internal import TapEngine

/// SHA-256 of a token: the token itself is not stored.
///
/// A token has 256 random bits, so brute force is infeasible and a slow password hash is unnecessary.
public struct TokenDigest: Sendable {
    private let bytes: [UInt8]

    /// Digests a token as a client sends it.
    public init(of token: String) {
        bytes = SHA256.digest(Array(token.utf8))
    }

    /// `nil` unless `text` consists of 64 hexadecimal digits.
    public init?(hexadecimal text: String) {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue.map(UInt8.init) }
        guard digits.count == text.utf8.count, digits.count == 2 * SHA256.byteCount else { return nil }
        bytes = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// 64 hexadecimal digits in lower case.
    public var hexadecimal: String { SHA256.text(bytes) }

    /// Compares in constant time.
    func equals(_ other: TokenDigest) -> Bool { SHA256.isEqual(bytes, other.bytes) }
}
