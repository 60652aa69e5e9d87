internal import TapHTTP

extension HTTPRejection {
    /// For people: what breaks HTTP, or the limits that all requests have together.
    func words(_ limits: HTTPLimits) -> Problem.Words {
        switch self {
        case .bodyTooLarge: Problem.bodyTooLarge(bytesMax: limits.bodyBytesMax).words
        case .stopping: Refusal.stopping.words
        case .malformedTarget:
            Problem.Words(
                status: 400, code: "MALFORMED_TARGET", title: "The request target cannot be decoded",
                detail:
                    "a percent sign needs two hexadecimal digits; control characters, encoded slashes, the segments "
                    + "'.' and '..', bytes that are no UTF-8 and many parameters are refused")
        case .ambiguousRequest:
            Problem.Words(
                status: 400, code: "AMBIGUOUS_REQUEST", title: "The request can be read in two ways",
                detail:
                    "send Host once, the one of an absolute target; either one Content-Length or one Transfer-Encoding; and "
                    + "no field twice that says one thing, such as Content-Type")
        case .malformedRequest:
            Problem.Words(
                status: 400, code: "MALFORMED_REQUEST", title: "The request is no HTTP/1.1",
                detail: "each line ends with CR LF; the first is METHOD TARGET HTTP/1.1 with one space between; header "
                    + "fields are NAME: VALUE, each on one line, without a space before the colon and without control "
                    + "characters; Content-Length is a number, and a chunk's size a hexadecimal one")
        case .unknownTransferCoding:
            Problem.Words(
                status: 501, code: "UNKNOWN_TRANSFER_CODING", title: "The transfer coding is not supported",
                detail: "send the body with a Content-Length, or with Transfer-Encoding: chunked")
        case .unknownVersion:
            Problem.Words(
                status: 505, code: "UNKNOWN_HTTP_VERSION", title: "The version of HTTP is not supported",
                detail: "send HTTP/1.1")
        case .unreadableBody:
            Problem.Words(
                status: 500, code: "UNREADABLE_BODY", title: "The body cannot be read",
                detail: "a chunk's first line is too long; send chunks without extensions, or a Content-Length")
        case .tooManyHeaders:
            Problem.Words(
                status: 431, code: "TOO_MANY_HEADERS", title: "Too many header fields",
                detail: "at most \(limits.headersMax) header fields are read")
        case .headersTooLarge:
            Problem.Words(
                status: 431, code: "HEADERS_TOO_LARGE", title: "The header fields are too large",
                detail:
                    "request line and header fields together must fit in \(limits.headerBytesMax) bytes, as they are held"
            )
        case .targetTooLong:
            Problem.Words(
                status: 414, code: "TARGET_TOO_LONG", title: "The request target is too long",
                detail:
                    "request line and header fields together must fit in \(limits.headerBytesMax) bytes, as they are held"
            )
        case .tooManyConnections:
            Problem.Words(
                status: 503, code: "TOO_MANY_CONNECTIONS", title: "Too many connections are open",
                detail: "there is a limit for all clients together, and one for each user or address; close some, or "
                    + "try again in a second", headers: [("Retry-After", "1")])
        case .tooManyBodies:
            Problem.Words(
                status: 503, code: "TOO_MANY_BODIES", title: "Too many large requests are under way",
                detail: "try again in a second", headers: [("Retry-After", "1")])
        }
    }
}
