internal import CMicroHTTPD

/// The head of a request in the buffer of libmicrohttpd before 1.0, checked for faults that this library accepts and
/// that two parsers could read differently (RFC 9112, sections 2.2, 3 and 5).
///
/// A lone LF, a folded field, a NUL, or a second space can only be seen in the library's buffer. This is the only code
/// that reads that buffer, for libmicrohttpd 0.9.75 to 0.9.77; from 1.0 on the library refuses such requests by itself,
/// and leaves its buffer in another state. `HTTPLibrary.check` checks at each start that such requests are refused.
@unsafe struct LenientHead {
    private static let versionBytes = 8

    /// From the method to the end of the headers. The library has replaced each separator by a NUL: the spaces in the
    /// request line, each byte of a line's end, and the colon. So a lone LF appears as one NUL instead of two, and a
    /// NUL that the client sent as one too many.
    private let bytes: UnsafeRawBufferPointer
    private let targetStart: Int
    private let versionStart: Int
    private let targetBytes: Int

    /// - Parameters:
    ///   - bytes: The head.
    ///   - targetStart: The offset of the target that the library found, in bytes from the method.
    ///   - versionStart: The same for the version.
    ///   - targetBytes: The target's length before the library split it; if it contains a NUL, the length up to that.
    init(_ bytes: UnsafeRawBufferPointer, targetStart: Int, versionStart: Int, targetBytes: Int) {
        unsafe self.bytes = bytes
        unsafe self.targetStart = targetStart
        unsafe self.versionStart = versionStart
        unsafe self.targetBytes = targetBytes
    }

    init(_ line: RequestLine, of connection: OpaquePointer, targetBytes: Int) {
        unsafe self.init(
            // SAFETY: the library keeps the head, which begins with the method, alive until the request is complete.
            UnsafeRawBufferPointer(start: line.method, count: tapster_mhd_header_bytes(connection)),
            targetStart: UnsafeRawPointer(line.target) - UnsafeRawPointer(line.method),
            versionStart: UnsafeRawPointer(line.version) - UnsafeRawPointer(line.method), targetBytes: targetBytes)
    }

    /// - Throws: `.malformedRequest`; `.unknownTransferCoding` if `Transfer-Encoding` ends in blanks, which the library
    ///   takes for a part of the coding's name, so that it would wait for the body forever.
    func check() throws(HTTPRejection) {
        let lineEnd = unsafe versionStart + Self.versionBytes
        // Exactly one separator before and after the target, and no NUL before it.
        guard unsafe targetStart > 1, unsafe versionStart == targetStart + targetBytes + 1,
            unsafe lineEnd <= bytes.count, unsafe bytes[..<(targetStart - 1)].allSatisfy({ $0 != 0 })
        else { throw .malformedRequest }
        var place = try unsafe afterLineEnd(lineEnd)
        while unsafe place < bytes.count, unsafe bytes[place] != 0 {
            let colon = unsafe end(from: place, HeaderFields.isTokenByte)
            guard colon > place, unsafe colon < bytes.count, unsafe bytes[colon] == 0 else {
                throw .malformedRequest
            }
            let valueEnd = unsafe end(from: colon + 1, HeaderFields.isValueByte)
            if unsafe HeaderFields.isBlank(bytes[valueEnd - 1]), unsafe isTransferEncoding(bytes[place..<colon]) {
                throw .unknownTransferCoding
            }
            place = try unsafe afterLineEnd(valueEnd)
        }
        guard try unsafe afterLineEnd(place) == bytes.count else { throw .malformedRequest }
    }

    private func isTransferEncoding(_ name: Slice<UnsafeRawBufferPointer>) -> Bool {
        unsafe name.lazy.map(asciiLowercase).elementsEqual("transfer-encoding".utf8)
    }

    private func end(from start: Int, _ isInside: (UInt8) -> Bool) -> Int {
        var place = start
        while unsafe place < bytes.count, unsafe isInside(bytes[place]) { place += 1 }
        return place
    }

    /// - Returns: The offset after CR LF.
    private func afterLineEnd(_ place: Int) throws(HTTPRejection) -> Int {
        guard unsafe place + 1 < bytes.count, unsafe bytes[place] == 0, unsafe bytes[place + 1] == 0 else {
            throw .malformedRequest
        }
        return place + 2
    }
}
