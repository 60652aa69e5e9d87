internal import TapEngine
internal import TapHTTP

extension HTTPRejection {
    /// Status, code and title of the problem for a request that violates HTTP or a limit of the server.
    var row: Problem.Row {
        switch self {
        case .malformedTarget: .init(400, "MALFORMED_TARGET", "The request target cannot be decoded")
        case .ambiguousRequest: .init(400, "AMBIGUOUS_REQUEST", "The request is ambiguous")
        case .malformedRequest: .init(400, "MALFORMED_REQUEST", "The request is not valid HTTP/1.1")
        case .unknownTransferCoding: .init(501, "UNKNOWN_TRANSFER_CODING", "The transfer coding is not supported")
        case .unknownVersion: .init(505, "UNKNOWN_HTTP_VERSION", "The HTTP version is not supported")
        case .unreadableBody: .init(500, "UNREADABLE_BODY", "The body cannot be read")
        case .tooManyHeaders: .init(431, "TOO_MANY_HEADERS", "Too many header fields")
        case .headersTooLarge: .init(431, "HEADERS_TOO_LARGE", "The header fields are too large")
        case .targetTooLong: .init(414, "TARGET_TOO_LONG", "The request target is too long")
        case .tooManyConnections: .init(503, "TOO_MANY_CONNECTIONS", "Too many connections are open", retryAfter: 1)
        case .tooManyBodies: .init(503, "TOO_MANY_BODIES", "Too many large requests are in progress", retryAfter: 1)
        case .bodyTooLarge: Problem.bodyTooLarge(bytesMax: 0).row
        case .stopping: Refusal.stopping.row
        }
    }

    func detail(_ limits: HTTPLimits) -> String {
        switch self {
        case .malformedTarget:
            "a percent sign must be followed by two hexadecimal digits; control characters, encoded slashes, the "
                + "segments '.' and '..', invalid UTF-8 and too many parameters are rejected"
        case .ambiguousRequest:
            "send Host once, equal to the host of an absolute target; either one Content-Length or one "
                + "Transfer-Encoding; and each single-valued field, such as Content-Type, once"
        case .malformedRequest:
            "each line must end with CR LF; the first must be METHOD TARGET HTTP/1.1, separated by single spaces; "
                + "header fields must be NAME: VALUE, each on one line, without a space before the colon and without "
                + "control characters; Content-Length must be a decimal number, a chunk size a hexadecimal number"
        case .unknownTransferCoding:
            "send the body with a Content-Length, or with Transfer-Encoding: chunked"
        case .unknownVersion:
            "send HTTP/1.1"
        case .unreadableBody:
            "a chunk's first line is too long; send chunks without extensions, or a Content-Length"
        case .tooManyHeaders:
            "at most \(limits.headersMax) header fields are allowed"
        case .headersTooLarge:
            "request line and header fields together, as the server stores them, may have at most "
                + "\(limits.headerBytesMax) bytes"
        case .targetTooLong:
            "request line and header fields together, as the server stores them, may have at most "
                + "\(limits.headerBytesMax) bytes"
        case .tooManyConnections:
            "there is one limit for all clients and one for each user or address; close some connections, or "
                + "try again in a second"
        case .tooManyBodies:
            "try again in a second"
        case .bodyTooLarge: Problem.bodyTooLarge(bytesMax: limits.bodyBytesMax).detail
        case .stopping: Refusal.stopping.detail
        }
    }
}
