/// Reads one JSON text (RFC 8259).
///
/// Foundation's parser accepts more than JSON (`[1,]`) and silently drops duplicate keys; and converting its types took
/// most of the start time with many devices.
struct JSONParser {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func parseDocument() throws(JSONSyntaxError) -> JSONValue {
        skipSpace()
        guard position < bytes.count else {
            throw JSONSyntaxError(detail: "the body is empty; it must be a JSON object")
        }
        let value = try parseValue()
        skipSpace()
        guard position == bytes.count else { throw unexpected("the end of the text") }
        return value
    }

    private mutating func parseValue() throws(JSONSyntaxError) -> JSONValue {
        guard position < bytes.count else { throw unexpected("a value") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try nested { (parser) throws(JSONSyntaxError) in try parser.parseObject() }
        case UInt8(ascii: "["): return try nested { (parser) throws(JSONSyntaxError) in try parser.parseArray() }
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw unexpected("a value")
        }
    }

    private mutating func nested(
        _ parse: (inout JSONParser) throws(JSONSyntaxError) -> JSONValue
    ) throws(JSONSyntaxError) -> JSONValue {
        guard depth < JSONValue.depthMax else {
            throw JSONSyntaxError(detail: "the body is nested more than \(JSONValue.depthMax) levels deep")
        }
        depth += 1
        position += 1
        let value = try parse(&self)
        depth -= 1
        return value
    }

    private mutating func parseObject() throws(JSONSyntaxError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        skipSpace()
        if consume(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw unexpected("a key") }
            let key = try parseString()
            guard key.utf8.count <= JSONValue.keyBytesMax else {
                throw JSONSyntaxError(
                    detail:
                        "a key has \(key.utf8.count) bytes, but at most \(JSONValue.keyBytesMax) are allowed (\(place))"
                )
            }
            skipSpace()
            guard consume(UInt8(ascii: ":")) else { throw unexpected("':'") }
            skipSpace()
            guard members.updateValue(try parseValue(), forKey: key) == nil else {
                throw JSONSyntaxError(detail: "the key '\(key.shortened)' occurs twice in one object (\(place))")
            }
            skipSpace()
            if consume(UInt8(ascii: "}")) { return .object(members) }
            guard consume(UInt8(ascii: ",")) else { throw unexpected("',' or '}'") }
        }
    }

    private mutating func parseArray() throws(JSONSyntaxError) -> JSONValue {
        var elements: [JSONValue] = []
        skipSpace()
        if consume(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            skipSpace()
            elements.append(try parseValue())
            skipSpace()
            if consume(UInt8(ascii: "]")) { return .array(elements) }
            guard consume(UInt8(ascii: ",")) else { throw unexpected("',' or ']'") }
        }
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
        for expected in "\(word)".utf8 {
            guard consume(expected) else { throw unexpected("'\(word)'") }
        }
        return value
    }

    private mutating func parseNumber() throws(JSONSyntaxError) -> JSONValue {
        let start = position
        _ = consume(UInt8(ascii: "-"))
        // A leading zero must not be followed by digits: the caller rejects them.
        if !consume(UInt8(ascii: "0")) { try skipDigits() }
        var isWhole = true
        if consume(UInt8(ascii: ".")) {
            isWhole = false
            try skipDigits()
        }
        if consume(UInt8(ascii: "e")) || consume(UInt8(ascii: "E")) {
            isWhole = false
            if !consume(UInt8(ascii: "+")) { _ = consume(UInt8(ascii: "-")) }
            try skipDigits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else {
            throw JSONSyntaxError(detail: "the number \(text.shortened) is too large (\(place))")
        }
        // 4.0 and 4e0 are the number 4.
        return Int(exactly: number).map { .integer($0) } ?? .number(number)
    }

    private mutating func skipDigits() throws(JSONSyntaxError) {
        let start = position
        while position < bytes.count, bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") {
            position += 1
        }
        guard position > start else { throw unexpected("a digit") }
    }

    private mutating func parseString() throws(JSONSyntaxError) -> String {
        position += 1
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\\"),
            bytes[position] >= 0x20
        {
            position += 1
        }
        var content = bytes[start..<position]
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            if bytes[position] == UInt8(ascii: "\\") {
                content += try parseEscape()
            } else {
                guard bytes[position] >= 0x20 else { throw unexpected("an escaped control character") }
                content.append(bytes[position])
                position += 1
            }
        }
        guard consume(UInt8(ascii: "\"")) else { throw unexpected("'\"'") }
        guard let text = String(validating: content, as: UTF8.self) else {
            throw JSONSyntaxError(detail: "the body is not JSON: a string that ends at \(place) is not UTF-8")
        }
        return text
    }

    private mutating func parseEscape() throws(JSONSyntaxError) -> [UInt8] {
        position += 1
        guard position < bytes.count else { throw unexpected("an escape") }
        position += 1
        switch bytes[position - 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [bytes[position - 1]]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return Array(String(try parseScalar()).utf8)
        default:
            position -= 1
            throw unexpected("an escape")
        }
    }

    /// Parses what follows `\u`: a scalar, or a surrogate pair.
    private mutating func parseScalar() throws(JSONSyntaxError) -> Unicode.Scalar {
        let first = try parseCodeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, consume(UInt8(ascii: "\\")), consume(UInt8(ascii: "u")) else {
            throw unexpected("the second half of a surrogate pair")
        }
        let second = try parseCodeUnit()
        guard second >= 0xDC00, second < 0xE000,
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else {
            throw unexpected("the second half of a surrogate pair")
        }
        return scalar
    }

    private mutating func parseCodeUnit() throws(JSONSyntaxError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, bytes[position] < 0x80,
                let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue
            else { throw unexpected("four hexadecimal digits") }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }

    private mutating func skipSpace() {
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    private mutating func consume(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private func unexpected(_ wanted: String) -> JSONSyntaxError {
        let found = position < bytes.count ? "something else" : "the end of the text"
        return JSONSyntaxError(
            detail: "the body is not JSON: \(wanted) was expected at \(place), but \(found) was found")
    }

    private var place: String {
        let before = bytes[..<min(position, bytes.count)]
        let line = before.count { $0 == 0x0A } + 1
        let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return "line \(line), column \(column)"
    }
}
