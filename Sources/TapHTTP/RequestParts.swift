internal import CMicroHTTPD
internal import Glibc

/// The texts of a request line, each NUL-terminated, in the library's memory, which is valid until the request is
/// complete.
@unsafe struct RequestLine {
    let method: UnsafePointer<CChar>
    /// Without its query.
    let target: UnsafePointer<CChar>
    let version: UnsafePointer<CChar>
}

/// The request line and the header fields, parsed strictly.
struct RequestParts {
    let method: String
    let isHTTP10: Bool
    let fields: HeaderFields

    private static let isLibraryStrict = tapster_mhd_is_strict() != 0

    /// - Parameters:
    ///   - line: The request line, as the library parsed it.
    ///   - connection: The library's connection with the request.
    ///   - targetBytes: The length of the target with its query.
    ///   - fieldsMax: The largest number of header fields.
    /// - Throws: The reason for which the request is rejected.
    init(
        _ line: RequestLine, of connection: OpaquePointer, targetBytes: Int, fieldsMax: Int
    ) throws(HTTPRejection) {
        if !Self.isLibraryStrict {
            try unsafe LenientHead(line, of: connection, targetBytes: targetBytes).check()
        }
        let method = unsafe UnsafeRawBufferPointer(start: line.method, count: strlen(line.method))
        guard unsafe !method.isEmpty, unsafe method.allSatisfy(HeaderFields.isTokenByte) else {
            throw .malformedRequest
        }
        self.method = unsafe String(decoding: method, as: UTF8.self)
        isHTTP10 = unsafe strcmp(line.version, "HTTP/1.0") == 0
        fields = try unsafe HeaderFields(of: connection, fieldsMax: fieldsMax)
    }
}
