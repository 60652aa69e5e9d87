/// One event of GET /v1/watch: a JSON text in a line, or the data of a server-sent event.
public enum WatchEvent: Hashable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
        case error = "ERROR"
    }

    case added(DeviceDocument)
    case modified(DeviceDocument)
    /// As the device was last.
    case deleted(DeviceDocument)
    /// Everything up to this revision has been sent: a client may resume from it.
    case bookmark(revision: Int)
    /// The last event: why the watch ends.
    case error(ProblemDocument)
    /// Of a newer daemon.
    case unknown(kind: String, object: JSONValue)

    /// What stands before the object in an event's JSON text.
    public static func opening(_ kind: Kind) -> String { opening(kind.rawValue) }

    private static func opening(_ kind: String) -> String { #"{"type":"\#(kind)","object":"# }

    /// What stands behind it.
    public static let closing = "}"

    /// The object of a bookmark.
    public static func bookmark(_ revision: Int) -> String { #"{"metadata":{"resourceVersion":"\#(revision)"}}"# }
}

extension WatchEvent: AnswerDocument {
    public var document: JSONValue {
        let (kind, object): (String, JSONValue) =
            switch self {
            case .added(let device): (Kind.added.rawValue, device.document)
            case .modified(let device): (Kind.modified.rawValue, device.document)
            case .deleted(let device): (Kind.deleted.rawValue, device.document)
            case .bookmark(let revision):
                (Kind.bookmark.rawValue, ["metadata": ["resourceVersion": .string(String(revision))]])
            case .error(let problem): (Kind.error.rawValue, problem.document)
            case .unknown(let kind, let object): (kind, object)
            }
        return ["type": .string(kind), "object": object]
    }

    public var bytes: [UInt8] {
        switch self {
        case .added(let device): Self.bytes(.added, device.bytes)
        case .modified(let device): Self.bytes(.modified, device.bytes)
        case .deleted(let device): Self.bytes(.deleted, device.bytes)
        case .bookmark(let revision): Self.bytes(.bookmark, Array(Self.bookmark(revision).utf8))
        case .error(let problem): Self.bytes(.error, problem.bytes)
        case .unknown: document.bytes
        }
    }

    private static func bytes(_ kind: Kind, _ object: [UInt8]) -> [UInt8] {
        Array(opening(kind).utf8) + object + Array(closing.utf8)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        let kind: OpenEnum<Kind> = try reader.value("type")
        switch kind.known {
        case .added: self = .added(try reader.value("object"))
        case .modified: self = .modified(try reader.value("object"))
        case .deleted: self = .deleted(try reader.value("object"))
        case .bookmark:
            let object = try MemberReader(reader.value("object"), at: reader.place("object"))
            let metadata = try MemberReader(object.value("metadata"), at: object.place("metadata"))
            self = .bookmark(revision: try metadata.revision("resourceVersion"))
        case .error: self = .error(try reader.value("object"))
        case nil: self = .unknown(kind: kind.rawValue, object: reader.json("object"))
        }
    }
}
