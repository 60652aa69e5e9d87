/// A text that is not JSON, or more deeply nested than anything we read.
public struct JSONSyntaxError: Error, Hashable, Sendable {
    public let detail: String
}

extension JSONValue {
    /// How many levels a document may have. None of ours comes near it.
    public static let depthMax = 32
    /// How long a key may be. The longest of ours is a label's, with 317 bytes; and to hash a text of many combining
    /// marks takes a time that rises with the square of their number.
    public static let keyBytesMax = 320

    /// Reads a JSON text to the letter of RFC 8259; a key that occurs twice in an object is an error (RFC 7493).
    ///
    /// - Throws: `JSONSyntaxError` with the place where the text stops being JSON.
    public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
        var parser = JSONParser(bytes)
        self = try parser.parseDocument()
    }

    /// The bytes, keys sorted: the same value always gives the same bytes.
    public var bytes: [UInt8] {
        var writer = JSONWriter()
        writer.append(self)
        return writer.bytes
    }

    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
