internal import Foundation
public import TapCore
internal import TapEngine

/// A bearer token (RFC 6750) without its secret, of which only the digest is stored.
public struct AccessToken: Sendable {
    /// Unique; identifies the caller in the history.
    public let name: TokenName
    /// The permissions of its bearer.
    public let role: Role
    /// Of the secret.
    public let digest: TokenDigest
    /// In UTC, from the clock of the host that created it.
    public let createdAt: Timestamp
    /// `nil` if the token is valid until it is revoked.
    public let expiresAt: Timestamp?

    public init(name: TokenName, role: Role, digest: TokenDigest, createdAt: Timestamp, expiresAt: Timestamp?) {
        self.name = name
        self.role = role
        self.digest = digest
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    /// Whether the token is expired at `now`; it is from `expiresAt` on.
    public func hasExpired(by now: Timestamp) -> Bool { expiresAt.map { $0 <= now } ?? false }

    /// Makes tokens recognizable, also to secret scanners.
    static let prefix = "tap_"
    private static let secretBytes = 32

    /// A new secret: `tap_` and 256 random bits from the kernel (getrandom(2)) as base64url (RFC 4648, section 5).
    public static func secret() -> String {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<secretBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let text = Data(bytes).base64EncodedString()
        return prefix + text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}

/// The name of a token: 1 to 63 ASCII letters, digits, dots, hyphens and underscores.
public struct TokenName: Hashable, Sendable, CustomStringConvertible {
    /// The name as text.
    public let text: String
    /// Equal to `text`.
    public var description: String { text }

    private static let bytesMax = 63

    /// - Throws: `ValidationError` if `text` is not a token name.
    public init(_ text: String) throws(ValidationError) {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
        guard isPlain, (1...Self.bytesMax).contains(text.utf8.count) else {
            throw ValidationError(
                "'\(text.prefix(Self.bytesMax))' is not a token name: 1 to \(Self.bytesMax) letters, digits, dots, "
                    + "hyphens and underscores")
        }
        self.text = text
    }
}
