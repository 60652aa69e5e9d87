@testable import TapHTTP

/// Decoded path segments have no slash or control character, and are decoded to the same text after being encoded.
func checkRequestTarget(_ bytes: [UInt8]) throws(BrokenProperty) {
    if let decoded = percentDecoded(bytes) {
        try hold(decoded.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a control character in '\(decoded)'")
        try hold(decoded.utf8.count <= bytes.count, "the decoded text is longer")
        let encoded = decoded.utf8.flatMap(encoded)
        try hold(
            percentDecoded(encoded)?.utf8.elementsEqual(decoded.utf8) == true, "encoded and decoded, the text differs")
        // Each percent sign and its two digits become one byte.
        let signs = bytes.count { $0 == UInt8(ascii: "%") }
        try hold(decoded.utf8.count == bytes.count - 2 * signs, "a percent encoding is not decoded to one byte")
    }
    guard let target = RequestTarget(bytes) else { return }
    for segment in target.segments {
        try hold(!segment.utf8.contains(UInt8(ascii: "/")), "the segment '\(segment)'")
        try hold(segment != "." && segment != "..", "a dot segment")
    }
    // An asterisk or an absolute target is not compared, since it has no path at its start.
    guard !target.segments.isEmpty, bytes.first == UInt8(ascii: "/") else { return }
    let again = RequestTarget(target.segments.flatMap { Array("/".utf8) + $0.utf8.flatMap(encoded) })?.segments
    try hold(again == target.segments, "encoded and decoded, the segments are \(again ?? [])")
}

extension RequestTarget {
    fileprivate init?(_ bytes: [UInt8]) {
        let read = bytes.withUnsafeBytes { bytes -> RequestTarget? in
            do throws(HTTPRejection) { return try RequestTarget(bytes, parametersMax: 64) } catch {
                return nil
            }
        }
        guard let read else { return nil }
        self = read
    }
}

/// The percent-encoding of a byte (RFC 3986, section 2.1).
private func encoded(_ byte: UInt8) -> [UInt8] {
    let digits = String(byte, radix: 16, uppercase: byte.isMultiple(of: 2))
    return Array("%\(byte < 16 ? "0" : "")\(digits)".utf8)
}

/// Header fields, one per line: accepted ones have exactly one host, and at most one length or encoding.
func checkFields(_ bytes: [UInt8]) throws(BrokenProperty) {
    try checkLenientHead(bytes)
    let limits = HTTPLimits()
    var fields = HeaderFields()
    do throws(HTTPRejection) {
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
            try fields.append(name: Array(line[..<colon]), value: Array(line[colon...].dropFirst()))
        }
        _ = try RequestFraming(fields, authority: nil, isHTTP10: false, bodyBytesMax: limits.bodyBytesMax)
    } catch { return }
    let lengths = fields.values("content-length")
    try hold(fields.values("host").count == 1, "not one host")
    try hold(lengths.count + fields.values("transfer-encoding").count <= 1, "more than one field gives the length")
    if let length = lengths.first {
        let text = String(decoding: length, as: UTF8.self)
        try hold(!text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }, "the length '\(text)'")
        try hold(Int(text).map { $0 <= limits.bodyBytesMax } == true, "the length '\(text)'")
    }
}

/// A head in the form of the buffer of libmicrohttpd before 1.0: an accepted one has as many line ends as lines.
private func checkLenientHead(_ bytes: [UInt8]) throws(BrokenProperty) {
    let line: [UInt8] = Array("GET".utf8) + [0] + Array("/".utf8) + [0] + Array("HTTP/1.1".utf8)
    let heads = [
        line + bytes,
        bytes.split(separator: UInt8(ascii: "\n")).reduce(line + [0, 0]) { head, line in
            let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
            return head + line[..<colon] + [0] + line[colon...].dropFirst() + [0, 0]
        } + [0, 0],
    ]
    for head in heads where isLetThrough(head) {
        let fields = head.dropFirst(line.count).split(separator: 0, omittingEmptySubsequences: false).count
        try hold(fields >= 4 && head.suffix(4) == [0, 0, 0, 0], "a head without an end")
        try hold(!head.contains(UInt8(ascii: "\n")) && !head.contains(UInt8(ascii: "\r")), "a line end is left")
    }
}

private func isLetThrough(_ head: [UInt8]) -> Bool {
    head.withUnsafeBytes { head in
        do throws(HTTPRejection) {
            try LenientHead(head, targetStart: 4, versionStart: 6, targetBytes: 1).check()
            return true
        } catch { return false }
    }
}

extension HeaderFields {
    fileprivate mutating func append(name: [UInt8], value: [UInt8]) throws(HTTPRejection) {
        let outcome = name.withUnsafeBytes { name in
            value.withUnsafeBytes { value -> Result<HeaderFields, HTTPRejection> in
                do throws(HTTPRejection) {
                    var fields = self
                    try fields.append(name: name, value: value)
                    return .success(fields)
                } catch { return .failure(error) }
            }
        }
        self = try outcome.get()
    }
}
