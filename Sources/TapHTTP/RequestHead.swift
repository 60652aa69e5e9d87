/// The request line and the header fields, read once from the library.
public final class RequestHead: Sendable {
    /// Case-sensitive (RFC 9110, section 9.1).
    public var method: String { parts.method }
    /// The undecoded path.
    public var path: String { target.path }
    /// The path's segments, each percent-decoded.
    public var segments: [String] { target.segments }
    /// The query's parameters, decoded; of a repeated parameter, the last value.
    public var query: [String: String] { target.query }
    /// False for HTTP/1.0, whose `Upgrade` field must be ignored (RFC 9110, section 7.8).
    public var canUpgrade: Bool { !parts.isHTTP10 }
    /// The time at which the headers were complete.
    public let received = ContinuousClock.now
    /// `X-Request-Id` of the client if it is 1 to 64 ASCII letters, digits, `-` and `_`; otherwise a generated one.
    public let identifier: String

    let parts: RequestParts
    let target: RequestTarget

    init(_ parts: consuming RequestParts, _ target: consuming RequestTarget) {
        identifier = Self.identifier(parts.fields["x-request-id"])
        self.parts = parts
        self.target = target
    }

    /// The value of a header field, whose name is given in lower case; of a repeated field, the last value.
    public func header(_ name: StaticString) -> String? { parts.fields[name] }

    /// The values of a list field, those of all its lines joined by commas (RFC 9110, section 5.3).
    public func list(_ name: StaticString) -> String? {
        let values = parts.fields.values(name)
        return values.isEmpty ? nil : values.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",")
    }

    private static let identifierBytesMax = 64

    private static func identifier(_ sent: String?) -> String {
        guard let sent, !sent.isEmpty, sent.utf8.count <= identifierBytesMax,
            sent.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        else { return HTTPRequest.newIdentifier() }
        return sent
    }
}

/// Message framing: how the length of a request's body is determined (RFC 9112, section 6).
struct RequestFraming {
    let isChunked: Bool

    /// Fields that must not be repeated: parsers differ on whether the first or the last counts (RFC 9110, 5.3).
    private static let singular: [StaticString] = ["authorization", "content-type", "idempotency-key"]

    /// - Throws: `HTTPRejection` if the request is ambiguous, has an unknown transfer coding, or too large a body. The
    ///   library accepts such requests.
    init(
        _ fields: HeaderFields, authority: [UInt8]?, isHTTP10: Bool, bodyBytesMax: Int
    ) throws(HTTPRejection) {
        let host = fields.only("host")
        let encoding = fields.only("transfer-encoding")
        let length = fields.only("content-length")
        // In the order of libmicrohttpd 1.0, which refuses the first two by itself: all versions answer alike.
        guard host.count > 0 || isHTTP10 else { throw .ambiguousRequest }
        if let encoding = encoding.value, !encoding.lazy.map(asciiLowercase).elementsEqual("chunked".utf8) {
            throw .unknownTransferCoding
        }
        guard host.count <= 1, encoding.count + length.count <= 1, encoding.count == 0 || !isHTTP10 else {
            throw .ambiguousRequest
        }
        for name in Self.singular where fields.only(name).count > 1 { throw .ambiguousRequest }
        if let authority, !authority.elementsEqual(host.value ?? [], by: { asciiLowercase($0) == asciiLowercase($1) }) {
            throw .ambiguousRequest
        }
        isChunked = encoding.count > 0
        if let length = length.value {
            guard !length.isEmpty, length.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
                throw .ambiguousRequest
            }
            guard let count = Int(String(decoding: length, as: UTF8.self)), count <= bodyBytesMax else {
                throw .bodyTooLarge
            }
        }
    }
}
