internal import CMicroHTTPD

/// What stands before the body, read once from the library.
public final class RequestHead: Sendable {
    public let method: String
    /// The path as it came.
    public let path: String
    /// The path's segments, each percent-decoded by itself.
    public let segments: [String]
    /// The query's parameters, decoded; of a repeated one, the last.
    public let query: [String: String]
    /// An upgrade that HTTP/1.0 asks for is to be ignored (RFC 9110, section 7.8).
    public let canUpgrade: Bool
    /// When the headers had arrived.
    public let received = ContinuousClock.now
    /// `X-Request-Id`: the client's, where it sent a plain one, else ours.
    public let identifier: String

    private let fields: [(name: String, value: String)]

    /// Nothing when the target or a parameter cannot be decoded.
    init?(
        method: String, target: String, version: String, fields: [(name: String, value: String)],
        connection: OpaquePointer
    ) {
        var segments: [String] = []
        for segment in target.utf8.split(separator: UInt8(ascii: "/")) {
            guard let decoded = percentDecoded(segment), !decoded.utf8.contains(UInt8(ascii: "/")) else { return nil }
            segments.append(decoded)
        }
        var query: [String: String] = [:]
        for (name, value) in unsafe collect(.GET_ARGUMENT_KIND, of: connection) {
            guard let name = percentDecoded(name.utf8), let value = percentDecoded(value.utf8) else { return nil }
            query[name] = value
        }
        self.method = method
        canUpgrade = version != "HTTP/1.0"
        path = target
        self.segments = segments
        self.query = query
        self.fields = fields
        identifier = Self.identifier(fields.first { isField($0.name, "x-request-id") }?.value)
    }

    /// The value of a header field, which is named in lower case; of a repeated one, the last.
    public func header(_ name: String) -> String? {
        fields.last { isField($0.name, name) }?.value
    }

    private static let identifierBytesMax = 64

    private static func identifier(_ sent: String?) -> String {
        guard let sent, !sent.isEmpty, sent.utf8.count <= identifierBytesMax,
            sent.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        else { return HTTPRequest.freshIdentifier() }
        return sent
    }
}

extension HTTPRejection {
    /// What the library lets through although two parties could understand it differently.
    init?(_ fields: [(name: String, value: String)], limits: HTTPLimits) {
        guard fields.count <= limits.headersMax else {
            self = .tooManyHeaders
            return
        }
        var lengths = 0
        var hosts = 0
        var encodings = 0
        for (name, value) in fields {
            if isField(name, "host") {
                hosts += 1
            } else if isField(name, "transfer-encoding") {
                encodings += 1
            } else if isField(name, "content-length") {
                lengths += 1
                if let length = UInt64(value), length > UInt64(limits.bodyBytesMax) {
                    self = .bodyTooLarge
                    return
                }
                if UInt64(value) == nil { lengths += 1 }
            }
        }
        guard lengths > 1 || hosts > 1 || encodings > 1 || (lengths > 0 && encodings > 0) else { return nil }
        self = .ambiguousRequest
    }
}

/// The library's list of one kind.
func collect(_ kind: MHD_ValueKind, of connection: OpaquePointer) -> [(name: String, value: String)] {
    // Most requests have no query: then there is nothing to make a list for.
    guard unsafe MHD_get_connection_values(connection, kind, nil, nil) > 0 else { return [] }
    let list = FieldList()
    // SAFETY: the list lives until the iteration is over.
    _ = unsafe MHD_get_connection_values(connection, kind, collectCallback, Unmanaged.passUnretained(list).toOpaque())
    return list.fields
}

/// Field names are ASCII and know no case (RFC 9110, section 5.1); `lowercase` has letters and hyphens alone.
private func isField(_ name: String, _ lowercase: String) -> Bool {
    name.utf8.count == lowercase.utf8.count && zip(name.utf8, lowercase.utf8).allSatisfy { $0 | 0x20 == $1 }
}
