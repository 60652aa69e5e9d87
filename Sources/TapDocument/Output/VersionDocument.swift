/// The answer to GET /version.
public struct VersionDocument: Hashable, Sendable {
    /// Always `tapster`.
    public var name: String
    /// Semantic version of the daemon.
    public var version: String

    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}

extension VersionDocument: AnswerDocument {
    public var document: JSONValue { ["name": .string(name), "version": .string(version)] }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        name = try reader.value("name")
        version = try reader.value("version")
    }
}
