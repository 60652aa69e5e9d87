internal import TapEngine
internal import TapHTTP

extension HTTPRejection {
    /// For people: what breaks HTTP, or the limits that all requests have together.
    func words(_ limits: HTTPLimits) -> Problem.Words {
        switch self {
        case .bodyTooLarge: Problem.bodyTooLarge(bytesMax: limits.bodyBytesMax).words
        case .stopping: Refusal.stopping.words
        default: Problem.Words(row, detail: detail(limits))
        }
    }

    private var row: Problem.Row {
        switch self {
        case .malformedTarget: .init(400, "MALFORMED_TARGET", "The request target cannot be decoded")
        case .ambiguousRequest: .init(400, "AMBIGUOUS_REQUEST", "The request can be read in two ways")
        case .malformedRequest: .init(400, "MALFORMED_REQUEST", "The request is no HTTP/1.1")
        case .unknownTransferCoding: .init(501, "UNKNOWN_TRANSFER_CODING", "The transfer coding is not supported")
        case .unknownVersion: .init(505, "UNKNOWN_HTTP_VERSION", "The version of HTTP is not supported")
        case .unreadableBody: .init(500, "UNREADABLE_BODY", "The body cannot be read")
        case .tooManyHeaders: .init(431, "TOO_MANY_HEADERS", "Too many header fields")
        case .headersTooLarge: .init(431, "HEADERS_TOO_LARGE", "The header fields are too large")
        case .targetTooLong: .init(414, "TARGET_TOO_LONG", "The request target is too long")
        case .tooManyConnections: .init(503, "TOO_MANY_CONNECTIONS", "Too many connections are open", retryAfter: 1)
        case .tooManyBodies: .init(503, "TOO_MANY_BODIES", "Too many large requests are under way", retryAfter: 1)
        case .bodyTooLarge, .stopping: preconditionFailure("it has the words of another table")
        }
    }

    private func detail(_ limits: HTTPLimits) -> String {
        switch self {
        case .malformedTarget:
            "a percent sign needs two hexadecimal digits; control characters, encoded slashes, the segments "
                + "'.' and '..', bytes that are no UTF-8 and many parameters are refused"
        case .ambiguousRequest:
            "send Host once, the one of an absolute target; either one Content-Length or one Transfer-Encoding; and "
                + "no field twice that says one thing, such as Content-Type"
        case .malformedRequest:
            "each line ends with CR LF; the first is METHOD TARGET HTTP/1.1 with one space between; header "
                + "fields are NAME: VALUE, each on one line, without a space before the colon and without control "
                + "characters; Content-Length is a number, and a chunk's size a hexadecimal one"
        case .unknownTransferCoding:
            "send the body with a Content-Length, or with Transfer-Encoding: chunked"
        case .unknownVersion:
            "send HTTP/1.1"
        case .unreadableBody:
            "a chunk's first line is too long; send chunks without extensions, or a Content-Length"
        case .tooManyHeaders:
            "at most \(limits.headersMax) header fields are read"
        case .headersTooLarge:
            "request line and header fields together must fit in \(limits.headerBytesMax) bytes, as they are held"
        case .targetTooLong:
            "request line and header fields together must fit in \(limits.headerBytesMax) bytes, as they are held"
        case .tooManyConnections:
            "there is a limit for all clients together, and one for each user or address; close some, or "
                + "try again in a second"
        case .tooManyBodies:
            "try again in a second"
        case .bodyTooLarge, .stopping: preconditionFailure("it has the words of another table")
        }
    }
}
