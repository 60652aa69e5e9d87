/// Why a request was rejected before it reached its handler. The connection ends after the response.
public enum HTTPRejection: String, CaseIterable, Error, Sendable {
    case bodyTooLarge
    /// The bodies of all requests together exceed `HTTPLimits.bodiesBytesMax`.
    case tooManyBodies
    case tooManyHeaders
    /// The request line and the header fields together are too large.
    case headersTooLarge
    case targetTooLong
    /// Not valid HTTP/1.1 (RFC 9112).
    case malformedRequest
    /// More than one field gives the body's length, or there is no host or more than one (RFC 9112, section 6.3; RFC
    /// 9110, section 7.2).
    case ambiguousRequest
    /// A percent sign without two digits, a NUL, bytes that are not UTF-8, dot segments, or too many parameters.
    case malformedTarget
    /// A transfer coding other than chunked (RFC 9112, section 6.1).
    case unknownTransferCoding
    case unknownVersion
    /// The header of a chunk does not fit in the memory of a connection.
    case unreadableBody
    /// Of all clients together, or of one.
    case tooManyConnections
    /// The server is stopping.
    case stopping

    /// The reason for which the library rejects a request by itself, before it calls the application. If a later
    /// version words its texts differently, the code is less exact, but the request is still rejected.
    ///
    /// - Parameters:
    ///   - status: The status of the library's error page; 0 if it closes the connection without one.
    ///   - text: The page, or the reason.
    init?(libraryStatus status: UInt32, text: String) {
        switch status {
        case 0 where text.contains("No space left") && text.contains("request line"): self = .targetTooLong
        case 0 where text.contains("request line") || text.contains("empty lines"): self = .malformedRequest
        case 0: return nil
        case 400 where text.contains("Content-Length") && text.contains("Transfer-Encoding"): self = .ambiguousRequest
        case 400 where text.contains("Host:"): self = .ambiguousRequest
        case 400 where text.contains("Transfer-Encoding"): self = .unknownTransferCoding
        case 413 where text.contains("chunk size line"): self = .unreadableBody
        case 413: self = .bodyTooLarge
        case 414: self = .targetTooLong
        case 431: self = .headersTooLarge
        case 500: self = .unreadableBody
        case 505: self = .unknownVersion
        default: self = .malformedRequest
        }
    }
}

/// What a client was doing when its connection was cut off for being slow, or why else it was cut off.
public enum HTTPCutOff: String, CaseIterable, Sendable {
    /// It has not sent the complete headers of its first request.
    case slowHeaders
    /// It has not sent the complete headers of a further request.
    case idle
    /// It has not sent the complete body.
    case slowBody
    /// It has not read the response.
    case slowReader
    /// It was silent, and another connection needed its place.
    case displaced
}
