internal import CMicroHTTPD

/// The texts of a request line, in the library's memory, which lasts until the request is complete. The library ends
/// each with a NUL.
@unsafe struct RequestLine {
    let method: UnsafePointer<CChar>
    /// Without its query.
    let target: UnsafePointer<CChar>
    let version: UnsafePointer<CChar>
}

/// The request line and the header fields, strictly.
struct RequestParts {
    let method: String
    let isHTTP10: Bool
    let fields: HeaderFields

    /// - Parameters:
    ///   - line: The request line, as the library read it.
    ///   - connection: The library's, whose request it is.
    ///   - targetBytes: The length of the target with its query.
    ///   - fieldsMax: How many header fields there may be.
    /// - Throws: Why the request is rejected.
    init(
        _ line: RequestLine, of connection: OpaquePointer, targetBytes: Int, fieldsMax: Int
    ) throws(HTTPRejection) {
        if tapster_mhd_is_strict() == 0 {
            try unsafe LenientHead(line, of: connection, targetBytes: targetBytes).check()
        }
        method = unsafe String(cString: line.method)
        guard !method.isEmpty, method.utf8.allSatisfy(HeaderFields.isTokenByte) else { throw .malformedRequest }
        isHTTP10 = unsafe String(cString: line.version) == "HTTP/1.0"
        fields = try unsafe HeaderFields(of: connection, fieldsMax: fieldsMax)
    }
}
