/// Header fields of a response, in the order in which they are sent.
public struct HTTPHeaders: Sendable {
    /// A header field (RFC 9110, section 5).
    public struct Field: Sendable {
        /// Case-insensitive.
        public let name: String
        /// Sent unchanged.
        public let value: String
    }

    /// May have several fields of the same name.
    public private(set) var fields: [Field]

    /// Adds a field at the end; fields of the same name stay.
    public mutating func append(_ name: String, _ value: String) { fields.append(Field(name: name, value: value)) }

    /// The fields of `first`, then those of `second`.
    public static func + (first: HTTPHeaders, second: HTTPHeaders) -> HTTPHeaders {
        var sum = first
        sum.fields += second.fields
        return sum
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) {
        // Room for two more fields, which every response gets later.
        fields = []
        fields.reserveCapacity(elements.count + 2)
        for (name, value) in elements { append(name, value) }
    }
}
