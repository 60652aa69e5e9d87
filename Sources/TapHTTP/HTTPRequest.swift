internal import Synchronization

/// A complete request.
public struct HTTPRequest: Sendable {
    /// What came before the body, shared by all copies of the request.
    public let head: RequestHead
    public internal(set) var body: [UInt8] = []

    /// A new identifier: it needs to be different, not secret, so it is one random number a process, and a count.
    public static func freshIdentifier() -> String {
        identifierPrefix + String(identifierCount.add(1, ordering: .relaxed).newValue)
    }

    private static let identifierPrefix = String(UInt32.random(in: (1 << 28)...UInt32.max), radix: 16) + "-"
    private static let identifierCount = Atomic<UInt64>(0)
}

/// Why a request never reached its handler. It is answered, and its connection ends.
public enum HTTPRejection: String, CaseIterable, Error, Sendable {
    case bodyTooLarge
    /// The bodies of all requests together are more than is held at a time.
    case tooManyBodies
    case tooManyHeaders
    /// Request line and header fields together are too large.
    case headersTooLarge
    case targetTooLong
    /// It is not HTTP/1.1 as RFC 9112 has it.
    case malformedRequest
    /// Two ways to tell where the request ends, or no host, or two (RFC 9112, section 6.3; RFC 9110, section 7.2).
    case ambiguousRequest
    /// A percent sign without two digits, a NUL, bytes that are no UTF-8, dot segments, or too many parameters.
    case malformedTarget
    /// A transfer coding other than chunked (RFC 9112, section 6.1).
    case unknownTransferCoding
    case unknownVersion
    /// A chunk's header does not fit in the memory of a connection.
    case unreadableBody
    /// Of all clients together, or of one.
    case tooManyConnections
    case stopping

    /// What the library rejects by itself, before it calls the application. Where its text is another one in a version
    /// to come, the code is less exact, and the request still rejected.
    ///
    /// - Parameters:
    ///   - status: Of the error page that the library makes; 0 when it closes the connection without one.
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

/// What a client was doing when its connection was cut off for being slow.
public enum HTTPCutOff: String, CaseIterable, Sendable {
    /// It has sent no headers of a first request.
    case slowHeaders
    /// It has sent no headers of a further request.
    case idle
    case slowBody
    /// It has not read the answer.
    case slowReader
}
