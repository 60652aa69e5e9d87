/// A text is not JSON, or exceeds a limit of `JSONValue`.
public struct JSONSyntaxError: Error, Hashable, Sendable {
    /// What is wrong, and where.
    public let detail: String
}

extension JSONValue {
    /// Maximum nesting depth, far above that of any document of the API.
    public static let depthMax = 32
    /// Maximum length of a key in bytes. The longest key of the API is a label's, with 317 bytes. The limit bounds the
    /// time to hash a key, which is quadratic in the number of its combining marks.
    public static let keyBytesMax = 320

    /// Parses a JSON text strictly by RFC 8259; duplicate keys in an object are an error (RFC 7493).
    ///
    /// - Throws: `JSONSyntaxError` with the line and column of the first error.
    public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
        var parser = JSONParser(bytes)
        self = try parser.parseDocument()
    }

    /// The JSON text in UTF-8, with sorted keys: equal values have equal bytes.
    public var bytes: [UInt8] {
        var writer = JSONWriter()
        writer.append(self)
        return writer.bytes
    }

    /// `bytes` as a string.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
