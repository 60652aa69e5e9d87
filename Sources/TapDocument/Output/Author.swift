/// The caller whose request caused a change, for the history.
public struct Author: Hashable, Sendable {
    /// The authenticated name, such as `uid:0` or `token:ci`.
    public let name: String
    /// Where the request came from: a process, such as `pid 17`, or an address.
    public let source: String
    /// The `X-Request-Id` of the request.
    public let request: String

    public init(name: String, source: String, request: String) {
        self.name = name
        self.source = source
        self.request = request
    }
}

extension Author {
    /// - Returns: `nil` if the member `actor` is missing or null.
    init?(_ reader: MemberReader) throws(InvalidDocument) {
        guard let name: String = try reader.optional("actor") else { return nil }
        self.init(
            name: name, source: try reader.optional("source") ?? "", request: try reader.optional("requestId") ?? "")
    }
}
