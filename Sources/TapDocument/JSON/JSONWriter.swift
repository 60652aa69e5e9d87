/// Receives the members of an object one after the other, to write them as bytes (`JSONWriter`) or to gather them as a
/// tree (`JSONMembers`).
public protocol JSONSink {
    /// Adds a member with any value.
    mutating func member(_ key: String, _ value: JSONValue)
    /// Adds a member that is a string.
    mutating func member(_ key: String, _ value: String)
    /// Adds a member that is an object; `members` adds its members.
    mutating func object(_ key: String, _ members: (inout Self) -> Void)
    /// Adds a member that is an array with one object for each element; `members` adds the members of an object.
    mutating func objects<Element>(
        _ key: String, _ elements: some Sequence<Element>, _ members: (inout Self, Element) -> Void)
}

extension JSONSink {
    /// Adds `true` or `false`.
    @inlinable
    public mutating func member(_ key: String, _ value: Bool) { member(key, .bool(value)) }
    /// Adds a number.
    @inlinable
    public mutating func member(_ key: String, _ value: Int) { member(key, .integer(value)) }
    /// Adds a string, or null.
    @inlinable
    public mutating func member(_ key: String, _ value: String?) {
        if let value { member(key, value) } else { member(key, .null) }
    }
    /// Adds a number, or null.
    @inlinable
    public mutating func member(_ key: String, _ value: Int?) { member(key, JSONValue(value)) }
    /// Adds an array of strings.
    @inlinable
    public mutating func member(_ key: String, _ values: [String]) { member(key, .array(values.map { .string($0) })) }
}

/// Writes a JSON text directly, with members in the order of the calls.
///
/// A device is written for each answer, for each event of a watch and twice for the database. Building a tree of values
/// first would hash and sort its members, which takes ten times as long.
public struct JSONWriter: JSONSink {
    /// The text so far, in UTF-8.
    public private(set) var bytes: [UInt8] = []
    /// Whether the next member or element needs a comma before it.
    private var followsAnother = false

    public init(bytesExpected: Int = 1_536) {
        bytes.reserveCapacity(bytesExpected)
    }

    /// The JSON text of one object; `members` adds its members.
    public static func object(bytesExpected: Int = 1_536, _ members: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter(bytesExpected: bytesExpected)
        writer.object(members)
        return writer.bytes
    }

    /// Writes an object; `members` adds its members.
    public mutating func object(_ members: (inout JSONWriter) -> Void) {
        enclose(UInt8(ascii: "{"), UInt8(ascii: "}"), members)
    }

    /// Adds a member that is an object.
    public mutating func object(_ key: String, _ members: (inout JSONWriter) -> Void) {
        begin(key)
        object(members)
    }

    /// Adds a member that is an array of objects.
    public mutating func objects<Element>(
        _ key: String, _ elements: some Sequence<Element>, _ members: (inout JSONWriter, Element) -> Void
    ) {
        begin(key)
        enclose(UInt8(ascii: "["), UInt8(ascii: "]")) { writer in
            for element in elements {
                writer.separate()
                writer.object { members(&$0, element) }
            }
        }
    }

    /// Adds a member with any value; the keys of objects in it are sorted.
    public mutating func member(_ key: String, _ value: JSONValue) {
        begin(key)
        append(value)
    }

    /// Adds a member that is a string.
    public mutating func member(_ key: String, _ value: String) {
        begin(key)
        append(quoting: value)
    }

    mutating func append(_ value: JSONValue) {
        switch value {
        case .null: bytes += "null".utf8
        case .bool(let value): bytes += (value ? "true" : "false").utf8
        case .integer(let value): bytes += String(value).utf8
        // JSON cannot represent infinity and NaN; no document has them.
        case .number(let value): bytes += (value.isFinite ? "\(value)" : "null").utf8
        case .string(let value): append(quoting: value)
        case .array(let elements):
            enclose(UInt8(ascii: "["), UInt8(ascii: "]")) { writer in
                for element in elements {
                    writer.separate()
                    writer.append(element)
                }
            }
        case .object(let members):
            object { writer in
                for (key, value) in members.sorted(by: { $0.key < $1.key }) { writer.member(key, value) }
            }
        }
    }

    private mutating func enclose(_ opening: UInt8, _ closing: UInt8, _ content: (inout JSONWriter) -> Void) {
        bytes.append(opening)
        followsAnother = false
        content(&self)
        bytes.append(closing)
        followsAnother = true
    }

    private mutating func separate() {
        if followsAnother { bytes.append(UInt8(ascii: ",")) }
        followsAnother = true
    }

    private mutating func begin(_ key: String) {
        separate()
        append(quoting: key)
        bytes.append(UInt8(ascii: ":"))
    }

    /// A string with its escapes (RFC 8259, section 7).
    private mutating func append(quoting text: String) {
        bytes.append(UInt8(ascii: "\""))
        // Escapes are rare, and scanning the bytes of an array is faster than those of a string.
        let start = bytes.count
        bytes += text.utf8
        if bytes[start...].contains(where: Self.mustBeEscaped) {
            bytes.removeSubrange(start...)
            for byte in text.utf8 { append(escaping: byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func mustBeEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func append(escaping byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
        case 0..<0x20:
            let digits = String(byte, radix: 16)
            bytes += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
        default: bytes.append(byte)
        }
    }
}

/// Gathers members as a tree of values.
struct JSONMembers: JSONSink {
    private var members: [String: JSONValue] = [:]

    static func object(_ encode: (inout JSONMembers) -> Void) -> JSONValue {
        var gathered = JSONMembers()
        encode(&gathered)
        return .object(gathered.members)
    }

    mutating func member(_ key: String, _ value: JSONValue) { members[key] = value }
    mutating func member(_ key: String, _ value: String) { members[key] = .string(value) }
    mutating func object(_ key: String, _ members: (inout JSONMembers) -> Void) {
        self.members[key] = Self.object(members)
    }
    mutating func objects<Element>(
        _ key: String, _ elements: some Sequence<Element>, _ members: (inout JSONMembers, Element) -> Void
    ) {
        self.members[key] = .array(elements.map { element in Self.object { members(&$0, element) } })
    }
}
