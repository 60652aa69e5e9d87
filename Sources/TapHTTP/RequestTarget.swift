/// The target of a request (RFC 9112, section 3.2).
struct RequestTarget: Sendable {
    /// The undecoded path.
    let path: String
    /// The path's segments, each percent-decoded. Empty segments are kept, since a proxy that filters paths sees them.
    let segments: [String]
    /// The query's parameters, decoded; of a repeated parameter, the last value.
    let query: [String: String]
    /// The authority of an absolute target, which must equal the Host field; `nil` for other targets.
    let authority: [UInt8]?

    private static let schemes = [Array("http://".utf8), Array("https://".utf8)]

    /// - Parameters:
    ///   - text: The undecoded target.
    ///   - parametersMax: The largest number of query parameters.
    /// - Throws: `.malformedTarget` if it cannot be decoded or has dot segments or encoded slashes, which not all
    ///   parsers resolve. `.malformedRequest` if it has white space, which some parsers take for a separator of the
    ///   request line.
    init(_ text: UnsafeRawBufferPointer, parametersMax: Int) throws(HTTPRejection) {
        guard let target = unsafe RequestTarget(decoding: text, parametersMax: parametersMax) else {
            // A space, VT, FF, CR.
            let hasBlank = unsafe text.contains { $0 == 0x20 || 0x0B...0x0D ~= $0 }
            throw hasBlank ? .malformedRequest : .malformedTarget
        }
        self = target
    }

    private init?(decoding text: UnsafeRawBufferPointer, parametersMax: Int) {
        // Nearly all targets are ASCII without percent signs.
        var isPlain = true
        for index in text.indices {
            let byte = unsafe text[index]
            // A target has no blanks and no fragment.
            guard byte > 0x20, byte != 0x7F, byte != UInt8(ascii: "#") else { return nil }
            if byte >= 0x80 || byte == UInt8(ascii: "%") { isPlain = false }
        }
        var rest = unsafe text[...]
        if unsafe text.first != UInt8(ascii: "/"),
            let scheme = Self.schemes.first(where: { unsafe rest.starts(with: $0) })
        {
            unsafe rest = rest.dropFirst(scheme.count)
            let end = unsafe rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
            authority = unsafe Array(rest[..<end])
            unsafe rest = rest[end...]
        } else {
            authority = nil
        }
        let question = unsafe rest.firstIndex(of: UInt8(ascii: "?"))
        let path = unsafe rest[..<(question ?? rest.endIndex)]
        // An asterisk means the server as a whole, for OPTIONS.
        guard
            unsafe path.first == UInt8(ascii: "/") || text.elementsEqual("*".utf8)
                || (path.isEmpty && authority != nil),
            let segments = unsafe Self.segments(path, isPlain: isPlain),
            // Validating takes several times as long.
            let text = isPlain
                ? unsafe String(decoding: path, as: UTF8.self) : unsafe String(validating: path, as: UTF8.self)
        else { return nil }
        self.path = text
        self.segments = segments
        guard let question else {
            query = [:]
            return
        }
        guard let query = unsafe Self.query(rest[(question + 1)...], max: parametersMax) else { return nil }
        self.query = query
    }

    /// The decoded segments, or `nil` if the path is malformed. `isPlain` says whether it is ASCII without percent
    /// signs.
    private static func segments(_ path: Slice<UnsafeRawBufferPointer>, isPlain: Bool) -> [String]? {
        var segments: [String] = []
        segments.reserveCapacity(8)
        var start = unsafe path.first == UInt8(ascii: "/") ? path.startIndex + 1 : path.startIndex
        guard unsafe start < path.endIndex else { return [] }
        while unsafe start <= path.endIndex {
            let end = unsafe path[start...].firstIndex(of: UInt8(ascii: "/")) ?? path.endIndex
            let raw = unsafe path[start..<end]
            guard let segment = isPlain ? unsafe String(decoding: raw, as: UTF8.self) : unsafe percentDecoded(raw),
                segment.utf8.count > 2 || segment != "." && segment != "..",
                isPlain || !segment.utf8.contains(UInt8(ascii: "/"))
            else { return nil }
            segments.append(segment)
            start = end + 1
        }
        return segments
    }

    private static func query(_ text: Slice<UnsafeRawBufferPointer>, max: Int) -> [String: String]? {
        var query: [String: String] = [:]
        var count = 0
        var start = unsafe text.startIndex
        while unsafe start < text.endIndex {
            let end = unsafe text[start...].firstIndex(of: UInt8(ascii: "&")) ?? text.endIndex
            if start < end {
                let equals = unsafe text[start..<end].firstIndex(of: UInt8(ascii: "=")) ?? end
                guard let name = unsafe parameter(text[start..<equals]),
                    let value = equals < end ? unsafe parameter(text[(equals + 1)..<end]) : ""
                else { return nil }
                query[name] = value
                count += 1
                guard count <= max else { return nil }
            }
            start = end + 1
        }
        return query
    }

    /// Decodes a name or a value; a plus means a space, as in HTML forms.
    private static func parameter(_ text: Slice<UnsafeRawBufferPointer>) -> String? {
        percentDecoded(unsafe text.map { $0 == UInt8(ascii: "+") ? 0x20 : $0 })
    }
}

/// Decodes percent signs (RFC 3986, section 2.1).
///
/// - Returns: `nil` if the text is malformed, has a control character, or is not UTF-8.
func percentDecoded(_ text: some Collection<UInt8>) -> String? {
    // Nearly all texts have nothing to decode.
    if text.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "%") }) {
        return String(decoding: text, as: UTF8.self)
    }
    var bytes: [UInt8] = []
    var rest = text.makeIterator()
    while let byte = rest.next() {
        var decoded = byte
        if byte == UInt8(ascii: "%") {
            guard let high = rest.next().flatMap(hexadecimal), let low = rest.next().flatMap(hexadecimal) else {
                return nil
            }
            decoded = high << 4 | low
        }
        guard decoded >= 0x20, decoded != 0x7F else { return nil }
        bytes.append(decoded)
    }
    return String(validating: bytes, as: UTF8.self)
}

private func hexadecimal(_ byte: UInt8) -> UInt8? {
    Character(UnicodeScalar(byte)).isASCII ? Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) : nil
}
