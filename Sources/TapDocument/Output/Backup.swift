public import TapCore

/// A copy of the database, whole and checked.
public struct Backup: Hashable, Sendable {
    /// On the daemon's host.
    public let path: String
    public let bytesCount: Int
    /// The last revision in it.
    public let revision: Int
    public let createdAt: Timestamp

    public init(path: String, bytesCount: Int, revision: Int, createdAt: Timestamp) {
        self.path = path
        self.bytesCount = bytesCount
        self.revision = revision
        self.createdAt = createdAt
    }
}

extension Backup: AnswerDocument {
    public var document: JSONValue {
        [
            "path": .string(path), "bytes": .integer(bytesCount), "revision": .string(String(revision)),
            "createdAt": .string(createdAt.text),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        path = try reader.value("path")
        bytesCount = try reader.value("bytes")
        revision = try reader.revision("revision")
        createdAt = try reader.value("createdAt")
    }
}
