internal import TapHTTP
internal import TapEngine

/// What is kept of a token: its SHA-256.
///
/// A token has 256 random bits, so nobody finds it by trying, and its hash need not be slow as a password's.
public struct TokenDigest: Sendable {
    private let bytes: [UInt8]

    /// Of a token as it is sent.
    public init(of token: String) {
        bytes = SHA256.digest(Array(token.utf8))
    }

    /// Nothing for what is no 64 hexadecimal digits.
    public init?(hexadecimal text: String) {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue.map(UInt8.init) }
        guard digits.count == text.utf8.count, digits.count == 2 * SHA256.byteCount else { return nil }
        bytes = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    public var hexadecimal: String { SHA256.text(bytes) }

    /// In a time that does not tell how many bytes are equal.
    func equals(_ other: TokenDigest) -> Bool { SHA256.isEqual(bytes, other.bytes) }
}
