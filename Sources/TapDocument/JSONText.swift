internal import Foundation

/// A text that is not JSON, or more deeply nested than anything we read.
public struct JSONSyntaxError: Error, Hashable, Sendable {
    public let detail: String
}

/// JSON as bytes, through Foundation's parser.
extension JSONValue {
    /// How many levels a document may have. None of ours comes near it.
    public static let depthMax = 32

    /// - Throws: `JSONSyntaxError` with the place where the text stops being JSON.
    public init(parsing bytes: [UInt8]) throws(JSONSyntaxError) {
        guard !bytes.isEmpty else { throw JSONSyntaxError(detail: "the body is empty; it must be a JSON object") }
        let value: Any
        do {
            value = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
        } catch {
            let reason = (error as NSError).userInfo[NSDebugDescriptionErrorKey] as? String
            throw JSONSyntaxError(detail: "the body is not JSON: \(reason ?? "it cannot be read")")
        }
        try self.init(value, depth: 0)
    }

    private init(_ value: Any, depth: Int) throws(JSONSyntaxError) {
        guard depth < Self.depthMax else {
            throw JSONSyntaxError(detail: "the body is nested more than \(Self.depthMax) levels deep")
        }
        switch value {
        case let text as String: self = .string(text)
        case let number as NSNumber: self.init(number)
        case let members as [String: Any]:
            var object: [String: JSONValue] = [:]
            object.reserveCapacity(members.count)
            for (key, member) in members { object[key] = try JSONValue(member, depth: depth + 1) }
            self = .object(object)
        case let elements as [Any]:
            var array: [JSONValue] = []
            array.reserveCapacity(elements.count)
            for element in elements { array.append(try JSONValue(element, depth: depth + 1)) }
            self = .array(array)
        default: self = .null
        }
    }

    private init(_ number: NSNumber) {
        // Foundation has one class for both; only the class behind `true` tells them apart.
        if type(of: number) == type(of: NSNumber(value: true)) {
            self = .bool(number.boolValue)
        } else if let integer = Int(exactly: number) {
            self = .integer(integer)
        } else {
            self = .number(number.doubleValue)
        }
    }

    /// The bytes, keys sorted: the same value always gives the same bytes.
    ///
    /// Written out, since `JSONEncoder` takes twenty times as long for a tree of values, and each write needs two.
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
