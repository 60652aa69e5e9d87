@testable import TapHTTP

/// What a path says once it is decoded: segments without a slash or a control character, which, encoded, say the same.
func checkRequestTarget(_ bytes: [UInt8]) throws(BrokenProperty) {
    if let decoded = percentDecoded(bytes) {
        try hold(decoded.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a control character in '\(decoded)'")
        try hold(decoded.utf8.count <= bytes.count, "decoding makes it longer")
        let encoded = decoded.utf8.flatMap(encoded)
        try hold(percentDecoded(encoded)?.utf8.elementsEqual(decoded.utf8) == true, "encoded, it says something else")
        // Each percent sign stands for one byte, with two more.
        let signs = bytes.count { $0 == UInt8(ascii: "%") }
        try hold(decoded.utf8.count == bytes.count - 2 * signs, "not each percent sign is one byte")
    }
    guard let target = RequestTarget(bytes) else { return }
    for segment in target.segments {
        try hold(!segment.utf8.contains(UInt8(ascii: "/")), "the segment '\(segment)'")
        try hold(segment != "." && segment != "..", "a dot segment")
    }
    // What an asterisk or an absolute target says has no path of its own.
    guard !target.segments.isEmpty, bytes.first == UInt8(ascii: "/") else { return }
    let again = RequestTarget(target.segments.flatMap { Array("/".utf8) + $0.utf8.flatMap(encoded) })?.segments
    try hold(again == target.segments, "encoded, they are \(again ?? [])")
}

extension RequestTarget {
    fileprivate init?(_ bytes: [UInt8]) {
        let read = bytes.withUnsafeBytes { RequestTarget($0, parametersMax: 64) }
        guard let read else { return nil }
        self = read
    }
}

/// One byte in the longest way to write it (RFC 3986, section 2.1).
private func encoded(_ byte: UInt8) -> [UInt8] {
    let digits = String(byte, radix: 16, uppercase: byte.isMultiple(of: 2))
    return Array("%\(byte < 16 ? "0" : "")\(digits)".utf8)
}

/// Header fields, one a line: what is let through has one length, one host and one encoding at most, and few fields.
func checkFields(_ bytes: [UInt8]) throws(BrokenProperty) {
    // As they come; and as the library leaves them, with a NUL for each separator that it understood.
    try checkBlock(bytes)
    var block: [UInt8] = [0, 0]
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        block += line[..<colon] + [0] + line[colon...].dropFirst() + [0, 0]
    }
    try checkBlock(block + [0, 0])
}

private func checkBlock(_ block: [UInt8]) throws(BrokenProperty) {
    let limits = HTTPLimits()
    let fields: HeaderFields
    do throws(HTTPRejection) {
        fields = try HeaderFields(block, fieldsMax: limits.headersMax)
        _ = try RequestFraming(fields, authority: nil, isHTTP10: false, bodyBytesMax: limits.bodyBytesMax)
    } catch { return }
    let lengths = fields.values("content-length")
    try hold(fields.values("host").count == 1, "not one host")
    try hold(lengths.count + fields.values("transfer-encoding").count <= 1, "two ways to tell where it ends")
    if let length = lengths.first {
        let text = String(decoding: length, as: UTF8.self)
        try hold(!text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }, "the length '\(text)'")
        try hold(Int(text).map { $0 <= limits.bodyBytesMax } == true, "the length '\(text)'")
    }
}

extension HeaderFields {
    fileprivate init(_ block: [UInt8], fieldsMax: Int) throws(HTTPRejection) {
        let read = block.withUnsafeBytes { block -> Result<HeaderFields, HTTPRejection> in
            do throws(HTTPRejection) { return .success(try HeaderFields(block, fieldsMax: fieldsMax)) } catch {
                return .failure(error)
            }
        }
        self = try read.get()
    }
}
