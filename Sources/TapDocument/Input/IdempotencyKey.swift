public import TapCore

/// The `Idempotency-Key` of a request: a repetition with the same key gets the first answer and changes nothing.
public struct IdempotencyKey: Hashable, Sendable {
    /// The longest key, in bytes.
    public static let bytesMax = 255

    /// The key as the client sent it.
    public let text: String

    /// - Throws: `ValidationError` unless `text` has 1 to 255 visible ASCII characters. If it is a structured field's
    ///   string (RFC 9651), its quotes are part of the key.
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
