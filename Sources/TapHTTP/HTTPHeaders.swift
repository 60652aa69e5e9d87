/// Header fields of an answer, in the order in which they are sent.
public struct HTTPHeaders: Sendable {
    public struct Field: Sendable {
        public let name: String
        public let value: String
    }

    public private(set) var fields: [Field]

    /// Adds a field at the end; one of the same name stays.
    public mutating func append(_ name: String, _ value: String) { fields.append(Field(name: name, value: value)) }

    public static func + (first: HTTPHeaders, second: HTTPHeaders) -> HTTPHeaders {
        var sum = first
        sum.fields += second.fields
        return sum
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) {
        // Of the fields that every answer gets, two more come later.
        fields = []
        fields.reserveCapacity(elements.count + 2)
        for (name, value) in elements { append(name, value) }
    }
}
