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
