/// Who caused a change, for the history.
public struct Author: Hashable, Sendable {
    /// Such as `uid:0` or `token:ci`.
    public let name: String
    /// From where: a process or an address.
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
    /// - Returns: `nil` where the members `actor`, `source` and `requestId` are null.
    init?(_ reader: MemberReader) throws(InvalidDocument) {
        guard let name: String = try reader.optional("actor") else { return nil }
        self.init(
            name: name, source: try reader.optional("source") ?? "", request: try reader.optional("requestId") ?? "")
    }
}
