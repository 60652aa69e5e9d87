public import TapCore

/// A name that a client gives to one request, so that it may be sent twice and is done once.
public struct IdempotencyKey: Hashable, Sendable {
    public static let bytesMax = 255

    public let text: String

    /// - Throws: `ValidationError` unless it is 1 to 255 visible ASCII characters. The quotes of a structured field's
    ///   string (RFC 9651) belong to it.
    public init(_ text: String) throws(ValidationError) {
        guard (1...Self.bytesMax).contains(text.utf8.count) else {
            throw ValidationError("has \(text.utf8.count) bytes; 1 to \(Self.bytesMax) are allowed")
        }
        guard text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw ValidationError("must be visible ASCII characters without spaces, such as a UUID")
        }
        self.text = text
    }
}
