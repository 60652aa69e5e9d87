/// A text that is not JSON, or more deeply nested than anything we read.
public struct JSONSyntaxError: Error, Hashable, Sendable {
    public let detail: String
}

extension JSONValue {
    /// How many levels a document may have. None of ours comes near it.
    public static let depthMax = 32
    /// How long a key may be. The longest of ours is a label's, with 317 bytes; and to hash a text of many combining marks
    /// takes a time that rises with the square of their number.
    public static let keyBytesMax = 320

    /// Reads a JSON text to the letter of RFC 8259; a key that occurs twice in an object is an error (RFC 7493).
    ///
    /// - Throws: `JSONSyntaxError` with the place where the text stops being JSON.
    public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
        var parser = JSONParser(bytes)
        self = try parser.parseDocument()
    }

    /// The bytes, keys sorted: the same value always gives the same bytes.
    ///
    /// Written out, since `JSONEncoder` takes many times as long for a tree of values, and each write needs two.
    public var bytes: [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(1_536)
        write(to: &output)
        return output
    }

    public var text: String { String(decoding: bytes, as: UTF8.self) }

    private func write(to output: inout [UInt8]) {
        switch self {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .integer(let value): output += String(value).utf8
        // JSON has no word for what is not finite, and no value of ours is.
        case .number(let value): output += (value.isFinite ? "\(value)" : "null").utf8
        case .string(let value): Self.write(value, to: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (position, element) in elements.enumerated() {
                if position > 0 { output.append(UInt8(ascii: ",")) }
                element.write(to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (position, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if position > 0 { output.append(UInt8(ascii: ",")) }
                Self.write(member.key, to: &output)
                output.append(UInt8(ascii: ":"))
                member.value.write(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// A string with its escapes (RFC 8259, section 7).
    private static func write(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                output += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
