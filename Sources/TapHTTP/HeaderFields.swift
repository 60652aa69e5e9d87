internal import CMicroHTTPD

/// The header fields of a request. Their strings are made on demand: most requests need few.
struct HeaderFields: Sendable {
    /// The fields one after the other, each as its name in lower case, a colon, its value, and LF. It is unambiguous: a
    /// name has no colon, and a value no LF.
    private var text: [UInt8] = []
    /// Bit n is set if a name has n bytes, or 63 or more. Most questions are about fields that are not there.
    private var nameLengths: UInt64 = 0

    /// No fields.
    init() {}

    /// - Parameters:
    ///   - connection: The library's connection with the request.
    ///   - fieldsMax: The largest number of fields.
    /// - Throws: `.tooManyHeaders`, and the errors of `append`.
    init(of connection: OpaquePointer, fieldsMax: Int) throws(HTTPRejection) {
        let count = unsafe tapster_mhd_count_fields(connection)
        guard count <= fieldsMax else { throw .tooManyHeaders }
        self = try unsafe withUnsafeTemporaryAllocation(of: tapster_mhd_field.self, capacity: count) {
            found throws(HTTPRejection) in
            // SAFETY: `tapster_mhd_read_fields` writes at most `found.count` fields; the library keeps their texts
            // alive until the request is complete.
            let count = unsafe tapster_mhd_read_fields(connection, found.baseAddress, found.count)
            var fields = HeaderFields()
            var bytes = 0
            for index in 0..<count { bytes += unsafe found[index].name_bytes + found[index].value_bytes + 2 }
            fields.text.reserveCapacity(bytes)
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
        var (start, end) = (0, value.count)
        while start < end, unsafe Self.isBlank(value[start]) { start += 1 }
        while start < end, unsafe Self.isBlank(value[end - 1]) { end -= 1 }
        // Field names are ASCII and case-insensitive (RFC 9110, section 5.1).
        for index in name.indices { text.append(asciiLowercase(unsafe name[index])) }
        text.append(Self.colon)
        unsafe text.append(contentsOf: value[start..<end])
        text.append(Self.lineFeed)
        nameLengths |= Self.bit(name.count)
    }

    /// The value of a field, whose name is given in lower case; of a repeated field, the last value.
    subscript(name: StaticString) -> String? {
        guard mayHave(name) else { return nil }
        var last: Range<Int>?
        forEachValue(name) { last = $0 }
        return last.map { String(decoding: text[$0], as: UTF8.self) }
    }

    /// For a field that must not be repeated: the number of its occurrences, and the bytes of the first value.
    func only(_ name: StaticString) -> (count: Int, value: ArraySlice<UInt8>?) {
        guard mayHave(name) else { return (0, nil) }
        var (count, first): (Int, Range<Int>?) = (0, nil)
        forEachValue(name) { value in
            if count == 0 { first = value }
            count += 1
        }
        return (count, first.map { text[$0] })
    }

    /// The bytes of the value of each field with that name.
    func values(_ name: StaticString) -> [ArraySlice<UInt8>] {
        guard mayHave(name) else { return [] }
        var values: [ArraySlice<UInt8>] = []
        forEachValue(name) { values.append(text[$0]) }
        return values
    }

    @inline(__always) private func mayHave(_ name: StaticString) -> Bool {
        nameLengths & Self.bit(name.utf8CodeUnitCount) != 0
    }

    /// Calls `body` with the place of each value in `text`.
    private func forEachValue(_ name: StaticString, _ body: (Range<Int>) -> Void) {
        // SAFETY: the bytes of a literal live forever.
        let name = unsafe UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        var start = 0
        while start < text.count {
            let nameEnd = start + name.count
            // The field may be shorter than `name`, and the last one.
            let isNamed =
                nameEnd < text.count && text[nameEnd] == Self.colon
                && name.indices.allSatisfy { unsafe text[start + $0] == name[$0] }
            var end = isNamed ? nameEnd : start
            while text[end] != Self.lineFeed { end += 1 }
            if isNamed { body(nameEnd + 1..<end) }
            start = end + 1
        }
    }

    private static let colon = UInt8(ascii: ":")
    private static let lineFeed = UInt8(ascii: "\n")

    private static func bit(_ length: Int) -> UInt64 { 1 << UInt64(min(length, 63)) }

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
