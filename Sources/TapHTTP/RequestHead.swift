internal import CMicroHTTPD

/// What stands before the body, read once from the library.
struct RequestHead {
    private let fields: [(name: String, value: String)]
    private let parameters: [(name: String, value: String)]

    init(_ connection: OpaquePointer) {
        fields = unsafe Self.collect(connection, .HEADER_KIND)
        parameters = unsafe Self.collect(connection, .GET_ARGUMENT_KIND)
    }

    private static func collect(_ connection: OpaquePointer, _ kind: MHD_ValueKind) -> [(name: String, value: String)] {
        let list = FieldList()
        // SAFETY: the list lives until the iteration is over.
        _ = unsafe MHD_get_connection_values(
            connection, kind, collectCallback, Unmanaged.passUnretained(list).toOpaque())
        return list.fields
    }

    /// What the library lets through although two parties could understand it differently.
    func rejection(_ limits: HTTPLimits) -> HTTPRejection? {
        guard fields.count <= limits.headersMax else { return .tooManyHeaders }
        var lengths = 0
        var hosts = 0
        var encodings = 0
        for (name, value) in fields {
            switch name.lowercased() {
            case "content-length":
                lengths += 1
                guard let length = UInt64(value) else { return .ambiguousRequest }
                if length > UInt64(limits.bodyBytesMax) { return .bodyTooLarge }
            case "host": hosts += 1
            case "transfer-encoding": encodings += 1
            default: break
            }
        }
        return lengths > 1 || hosts > 1 || encodings > 1 || (lengths > 0 && encodings > 0) ? .ambiguousRequest : nil
    }

    /// The request without its body, or nothing when its target cannot be decoded.
    func request(method: String, target: String) -> HTTPRequest? {
        var segments: [String] = []
        for segment in target.utf8.split(separator: UInt8(ascii: "/")) {
            guard let decoded = percentDecoded(segment), !decoded.utf8.contains(UInt8(ascii: "/")) else { return nil }
            segments.append(decoded)
        }
        var query: [String: String] = [:]
        for (name, value) in parameters {
            guard let name = percentDecoded(name.utf8), let value = percentDecoded(value.utf8) else { return nil }
            query[name] = value
        }
        var headers: [String: String] = [:]
        for (name, value) in fields { headers[name.lowercased()] = value }
        return HTTPRequest(
            method: method, path: target, segments: segments, query: query, headers: headers, body: [],
            received: .now, identifier: Self.identifier(headers["x-request-id"]))
    }

    private static let identifierBytesMax = 64

    private static func identifier(_ sent: String?) -> String {
        guard let sent, !sent.isEmpty, sent.utf8.count <= identifierBytesMax,
            sent.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        else { return HTTPRequest.freshIdentifier() }
        return sent
    }
}
