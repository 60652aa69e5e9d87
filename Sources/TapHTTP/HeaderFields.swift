internal import CMicroHTTPD

/// The header fields of a request. Their strings are made on demand: most requests need few.
struct HeaderFields: Sendable {
    private struct Field {
        let name: Range<Int>
        let value: Range<Int>
    }

    private var bytes: [UInt8] = []
    private var fields: [Field] = []
    /// Bit n is set if a name has n bytes, or 63 or more. Most questions are about fields that are not there.
    private var nameLengths: UInt64 = 0

    /// No fields.
    init() {}

    /// - Parameters:
    ///   - connection: The library's connection with the request.
    ///   - fieldsMax: The largest number of fields.
    /// - Throws: `.tooManyHeaders`, and the errors of `append`.
    init(of connection: OpaquePointer, fieldsMax: Int) throws(HTTPRejection) {
        self = try unsafe withUnsafeTemporaryAllocation(of: tapster_mhd_field.self, capacity: fieldsMax + 1) {
            found throws(HTTPRejection) in
            // SAFETY: `tapster_mhd_read_fields` writes at most `found.count` fields; the library keeps their texts
            // alive until the request is complete.
            let count = unsafe tapster_mhd_read_fields(connection, found.baseAddress, found.count)
            guard count <= fieldsMax else { throw .tooManyHeaders }
            var fields = HeaderFields()
            unsafe fields.bytes.reserveCapacity(
                found[..<count].reduce(0) { unsafe $0 + $1.name_bytes + $1.value_bytes })
            fields.fields.reserveCapacity(count)
            for index in 0..<count {
                let field = unsafe found[index]
                try unsafe fields.append(
                    name: UnsafeRawBufferPointer(start: field.name, count: field.name_bytes),
                    value: UnsafeRawBufferPointer(start: field.value, count: field.value_bytes))
            }
            return fields
        }
    }

    /// Adds a copy of a field.
    ///
    /// - Throws: `.malformedRequest` unless the name is a token and the value has no control characters (RFC 9110,
    ///   sections 5.1 and 5.5).
    mutating func append(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) throws(HTTPRejection) {
        guard unsafe !name.isEmpty, unsafe name.allSatisfy(Self.isTokenByte), unsafe value.allSatisfy(Self.isValueByte)
        else {
            throw .malformedRequest
        }
        // Blanks around a value are not part of it, but some versions of the library include them.
        var trimmed = unsafe value[...]
        while let first = unsafe trimmed.first, Self.isBlank(first) { unsafe trimmed.removeFirst() }
        while let last = unsafe trimmed.last, Self.isBlank(last) { unsafe trimmed.removeLast() }
        let start = bytes.count
        unsafe bytes.append(contentsOf: name)
        let middle = bytes.count
        unsafe bytes.append(contentsOf: trimmed)
        fields.append(Field(name: start..<middle, value: middle..<bytes.count))
        nameLengths |= Self.bit(middle - start)
    }

    /// The value of a field, whose name is given in lower case; of a repeated field, the last value.
    subscript(name: String) -> String? {
        guard mayHave(name) else { return nil }
        return fields.last { isNamed($0, name) }.map { String(decoding: bytes[$0.value], as: UTF8.self) }
    }

    /// For a field that must not be repeated: the number of its occurrences, and the bytes of the first value.
    func only(_ name: String) -> (count: Int, value: ArraySlice<UInt8>?) {
        guard mayHave(name) else { return (0, nil) }
        var (count, first): (Int, Field?) = (0, nil)
        for field in fields where isNamed(field, name) {
            if count == 0 { first = field }
            count += 1
        }
        return (count, first.map { bytes[$0.value] })
    }

    /// The bytes of the value of each field with that name.
    func values(_ name: String) -> [ArraySlice<UInt8>] {
        mayHave(name) ? fields.lazy.filter { isNamed($0, name) }.map { bytes[$0.value] } : []
    }

    private static func bit(_ length: Int) -> UInt64 { 1 << UInt64(min(length, 63)) }

    private func mayHave(_ name: String) -> Bool { nameLengths & Self.bit(name.utf8.count) != 0 }

    /// Field names are ASCII and case-insensitive (RFC 9110, section 5.1).
    private func isNamed(_ field: Field, _ lowercase: String) -> Bool {
        field.name.count == lowercase.utf8.count
            && zip(field.name, lowercase.utf8).allSatisfy { asciiLowercase(bytes[$0]) == $1 }
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Any byte but control characters; a tab is allowed (RFC 9110, section 5.5).
    static func isValueByte(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    /// A letter, a digit, or one of ``!#$%&'*+-.^_`|~`` (RFC 9110, section 5.6.2).
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5E...0x7A, 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x7C, 0x7E: true
        default: false
        }
    }
}

func asciiLowercase(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}
