internal import Foundation
public import TapCore
internal import TapEngine

/// What is known of a bearer token (RFC 6750): all but the token itself.
public struct AccessToken: Sendable {
    /// Unique, for people and the history.
    public let name: TokenName
    public let role: Role
    public let digest: TokenDigest
    public let createdAt: Timestamp
    /// Nothing for a token that lasts until it is revoked.
    public let expiresAt: Timestamp?

    public init(name: TokenName, role: Role, digest: TokenDigest, createdAt: Timestamp, expiresAt: Timestamp?) {
        self.name = name
        self.role = role
        self.digest = digest
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    public func hasExpired(by now: Timestamp) -> Bool { expiresAt.map { $0 <= now } ?? false }

    /// So that people, and programs that look for leaked secrets, know one when they see it.
    static let prefix = "tap_"
    private static let secretBytes = 32

    /// A new token: 256 bits of the kernel's randomness (getrandom(2)).
    public static func secret() -> String {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<secretBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        // base64url (RFC 4648, section 5)
        let text = Data(bytes).base64EncodedString()
        return prefix + text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}

/// A token's name.
public struct TokenName: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { text }

    private static let bytesMax = 63

    /// - Throws: `ValidationError`.
    public init(_ text: String) throws(ValidationError) {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
        guard isPlain, (1...Self.bytesMax).contains(text.utf8.count) else {
            throw ValidationError(
                "'\(text.prefix(Self.bytesMax))' is no name of a token: 1 to \(Self.bytesMax) letters, digits, dots, "
                    + "hyphens and underscores")
        }
        self.text = text
    }
}
