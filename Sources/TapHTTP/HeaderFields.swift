/// The header fields of a request. Their texts are made when somebody asks for them: most requests are asked for few.
struct HeaderFields: Sendable {
    private struct Field {
        let name: Range<Int>
        let value: Range<Int>
    }

    private let bytes: [UInt8]
    private var fields: [Field] = []

    /// Reads more strictly than the library: what two parties could understand differently is refused (RFC 9112,
    /// section 2.2 and 5).
    ///
    /// - Parameters:
    ///   - block: From the end of the request line to the end of the headers as the library leaves it, with a NUL for
    ///     each byte of a line's end, and for the colon. So a lone LF is one NUL where two must be, and a NUL that the
    ///     client sent is one too many; a line that begins with a space continues the one before.
    ///   - fieldsMax: How many there may be.
    /// - Throws: Why they are refused.
    init(_ block: UnsafeRawBufferPointer, fieldsMax: Int) throws(HTTPRejection) {
        unsafe bytes = Array(block)
        fields.reserveCapacity(8)
        var place = try lineEnd(0)
        while place < bytes.count, bytes[place] != 0 {
            let name = place..<end(from: place, Self.isTokenByte)
            guard !name.isEmpty, name.upperBound < bytes.count, bytes[name.upperBound] == 0 else {
                throw .malformedRequest
            }
            let start = end(from: name.upperBound + 1, Self.isBlank)
            var end = end(from: start) { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
            place = try lineEnd(end)
            while end > start, Self.isBlank(bytes[end - 1]) { end -= 1 }
            guard fields.count < fieldsMax else { throw .tooManyHeaders }
            fields.append(Field(name: name, value: start..<end))
        }
        guard try lineEnd(place) == bytes.count else { throw .malformedRequest }
    }

    /// The value of a field, which is named in lower case; of a repeated one, the last.
    subscript(name: String) -> String? {
        fields.last { isNamed($0, name) }.map { String(decoding: bytes[$0.value], as: UTF8.self) }
    }

    /// How many fields have a name that at most one may have, and the bytes of the first.
    func only(_ name: String) -> (count: Int, value: ArraySlice<UInt8>?) {
        var (count, first): (Int, Field?) = (0, nil)
        for field in fields where isNamed(field, name) {
            if count == 0 { first = field }
            count += 1
        }
        return (count, first.map { bytes[$0.value] })
    }

    /// The bytes of each field of that name.
    func values(_ name: String) -> [ArraySlice<UInt8>] {
        fields.lazy.filter { isNamed($0, name) }.map { bytes[$0.value] }
    }

    /// Field names are ASCII and know no case (RFC 9110, section 5.1).
    private func isNamed(_ field: Field, _ lowercase: String) -> Bool {
        field.name.count == lowercase.utf8.count
            && zip(field.name, lowercase.utf8).allSatisfy { asciiLowercase(bytes[$0]) == $1 }
    }

    private func end(from start: Int, _ isInside: (UInt8) -> Bool) -> Int {
        var place = start
        while place < bytes.count, isInside(bytes[place]) { place += 1 }
        return place
    }

    /// - Returns: What follows CR LF.
    private func lineEnd(_ place: Int) throws(HTTPRejection) -> Int {
        guard place + 1 < bytes.count, bytes[place] == 0, bytes[place + 1] == 0 else { throw .malformedRequest }
        return place + 2
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

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
