internal import Foundation

/// A text that is not JSON, or more deeply nested than anything we read.
public struct JSONSyntaxError: Error, Hashable, Sendable {
    public let detail: String
}

/// JSON as bytes, through Foundation's parser and writer.
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
    public var bytes: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // No value of ours is infinite, and nothing else could fail.
        return (try? encoder.encode(self)).map { Array($0) } ?? []
    }

    public var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension JSONValue: Encodable {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}
