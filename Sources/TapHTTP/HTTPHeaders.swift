/// Header fields of a response, in the order in which they are sent.
public struct HTTPHeaders: Sendable {
    /// Names, which are case-insensitive, and values, which are sent unchanged (RFC 9110, section 5). Several fields
    /// may have the same name.
    public private(set) var fields: [(String, String)]

    /// Adds a field at the end; fields of the same name stay.
    public mutating func append(_ name: String, _ value: String) { fields.append((name, value)) }

    /// The fields of `first`, then those of `second`.
    public static func + (first: HTTPHeaders, second: HTTPHeaders) -> HTTPHeaders {
        var sum = first
        sum.fields += second.fields
        return sum
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements
    }
}
