/// An event of GET /v1/watch: a line with a JSON text, or the data of a server-sent event.
public enum WatchEvent: Hashable, Sendable {
    /// The member `type`.
    public enum Kind: String, CaseIterable, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
        case error = "ERROR"
    }

    /// A device that the client did not know.
    case added(DeviceDocument)
    /// A change of a device that the client knows.
    case modified(DeviceDocument)
    /// A device that was deleted or is no longer selected, in its last state.
    case deleted(DeviceDocument)
    /// All changes up to this revision were sent: a client may resume from it.
    case bookmark(revision: Int)
    /// The last event: why the server ends the watch.
    case error(ProblemDocument)
    /// An event of a newer daemon.
    case unknown(kind: String, object: JSONValue)

    /// The part of an event's JSON text before the object.
    public static func opening(_ kind: Kind) -> String { opening(kind.rawValue) }

    private static func opening(_ kind: String) -> String { #"{"type":"\#(kind)","object":"# }

    /// The part after the object.
    public static let closing = "}"

    /// The object of a bookmark event, as JSON text.
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

    /// Written from the bytes of the object, without a tree of values.
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
