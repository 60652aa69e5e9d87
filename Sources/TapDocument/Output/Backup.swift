public import TapCore

/// A complete copy of the database, checked for integrity; the answer to POST /v1/backup.
public struct Backup: Hashable, Sendable {
    /// Its path on the daemon's host.
    public let path: String
    /// Size in bytes.
    public let bytesCount: Int
    /// The newest revision in the copy.
    public let revision: Int
    /// When the copy was made.
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
