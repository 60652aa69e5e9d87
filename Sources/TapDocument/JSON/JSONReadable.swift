public import TapCore

/// A value that is read from JSON of a daemon, possibly a newer one: unknown members are ignored, and a missing member
/// equals null.
public protocol JSONReadable: Sendable {
    /// - Parameters:
    ///   - json: The value as JSON.
    ///   - pointer: Its place in the whole document, a JSON pointer (RFC 6901), for errors.
    /// - Throws: `InvalidDocument` with the first mistake.
    init(json: JSONValue, at pointer: String) throws(InvalidDocument)
}

/// A document of the API that the daemon writes and a client reads.
///
/// Times in documents have milliseconds: microseconds are lost in a round trip.
public protocol AnswerDocument: JSONReadable, Hashable {
    /// The value as JSON.
    var document: JSONValue { get }
    /// The JSON text as the daemon sends it.
    var bytes: [UInt8] { get }
}

extension AnswerDocument {
    /// `document` with sorted keys.
    public var bytes: [UInt8] { document.bytes }

    /// - Parameter bytes: A JSON text.
    /// - Throws: `InvalidDocument` with the first mistake; a syntax error has the empty pointer.
    public init(bytes: [UInt8]) throws(InvalidDocument) {
        let value: JSONValue
        do throws(JSONSyntaxError) { value = try JSONValue(parsing: bytes) } catch {
            throw InvalidDocument([FieldIssue(pointer: "", detail: error.detail)])
        }
        try self.init(json: value, at: "")
    }
}

/// A raw value of `Known`, or a value that only a newer daemon knows.
public struct OpenEnum<Known: RawRepresentable<String> & Hashable & Sendable>: RawRepresentable, Hashable, Sendable {
    /// The value in the document.
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    public init(_ known: Known) {
        rawValue = known.rawValue
    }

    /// `nil` if this version does not know the value.
    public var known: Known? { Known(rawValue: rawValue) }
}

extension OpenEnum: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        self.init(rawValue: try String(json: json, at: pointer))
    }
}

// MARK: Plain values

extension InvalidDocument {
    /// Reports that `found` has another type than `wanted`, such as `a string`.
    init(_ found: JSONValue, at pointer: String, wanted: String) {
        self.init([FieldIssue(pointer: pointer, detail: "must be \(wanted), found \(found.kind)")])
    }
}

extension JSONValue: JSONReadable {
    public init(json: JSONValue, at pointer: String) {
        self = json
    }
}

extension Bool: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .bool(let value) = json else { throw InvalidDocument(json, at: pointer, wanted: "true or false") }
        self = value
    }
}

extension String: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .string(let value) = json else { throw InvalidDocument(json, at: pointer, wanted: "a string") }
        self = value
    }
}

extension FixedWidthInteger where Self: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .integer(let number) = json else {
            throw InvalidDocument(json, at: pointer, wanted: "a whole number")
        }
        guard let value = Self(exactly: number) else {
            throw InvalidDocument([
                FieldIssue(
                    pointer: pointer, detail: "is \(number), but must lie between \(Self.min) and \(Self.max)")
            ])
        }
        self = value
    }
}

extension Int: JSONReadable {}
extension Int32: JSONReadable {}
extension UInt32: JSONReadable {}

extension Array: JSONReadable where Element: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .array(let elements) = json else { throw InvalidDocument(json, at: pointer, wanted: "an array") }
        self = []
        reserveCapacity(elements.count)
        for (position, element) in elements.enumerated() {
            append(try Element(json: element, at: "\(pointer)/\(position)"))
        }
    }
}

// MARK: Values written as strings

extension JSONReadable {
    /// Reads a string and converts it by `parse`.
    fileprivate init(
        text json: JSONValue, at pointer: String, _ parse: (String) throws(ValidationError) -> Self
    ) throws(InvalidDocument) {
        let text = try String(json: json, at: pointer)
        do throws(ValidationError) { self = try parse(text) } catch {
            throw InvalidDocument([FieldIssue(pointer: pointer, detail: error.detail)])
        }
    }
}

extension DeviceName: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        try self.init(text: json, at: pointer) { (text) throws(ValidationError) in try DeviceName(text) }
    }
}

extension ConsumerName: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        try self.init(text: json, at: pointer) { (text) throws(ValidationError) in try ConsumerName(text) }
    }
}

extension NetworkNamespace: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        try self.init(text: json, at: pointer) { (text) throws(ValidationError) in try NetworkNamespace(text) }
    }
}

extension MACAddress: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        try self.init(text: json, at: pointer) { (text) throws(ValidationError) in try MACAddress(text) }
    }
}

extension Timestamp: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        try self.init(text: json, at: pointer) { (text) throws(ValidationError) in try Timestamp(text: text) }
    }
}

extension DeviceIdentifier: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        try self.init(text: json, at: pointer) { (text) throws(ValidationError) in
            guard let identifier = DeviceIdentifier(text: text) else {
                throw ValidationError("is not a UUID in lower case")
            }
            return identifier
        }
    }
}

extension LeaseIdentifier: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        try self.init(text: json, at: pointer) { (text) throws(ValidationError) in
            guard let identifier = LeaseIdentifier(text) else {
                throw ValidationError("is not a lease's identifier: 16 hexadecimal digits in lower case")
            }
            return identifier
        }
    }
}

extension LinkIndex: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        self.init(rawValue: try Int32(json: json, at: pointer))
    }
}

/// A revision in a document: a decimal number in a string.
struct RevisionText: JSONReadable {
    let value: Int

    init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let text = try String(json: json, at: pointer)
        guard let number = Int(text), number >= 0, String(number) == text else {
            throw InvalidDocument([FieldIssue(pointer: pointer, detail: "is not a revision from this API")])
        }
        value = number
    }
}
