public import TapCore

/// What happened to a device, for people: as the database keeps it, and as the API shows it.
public struct EventRecord: Hashable, Sendable {
    public enum Severity: String, Hashable, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// Rises with each event; `nil` before the event is stored.
    public var id: Int?
    public let at: Timestamp
    public let device: DeviceName?
    public let severity: OpenEnum<Severity>
    /// The raw value of an `EventReason`; in an event of another version, perhaps another word.
    public let reason: String
    public let message: String
    public let difference: FieldDifference?
    /// Whose request caused it; `nil` for what the daemon does by itself.
    public let author: Author?
    /// The revision that it made, if it made one.
    public let revision: Int?

    public init(
        at: Timestamp, device: DeviceName?, severity: Severity = .normal, reason: EventReason, message: String,
        difference: FieldDifference? = nil, author: Author? = nil, revision: Int? = nil
    ) {
        self.init(
            at: at, device: device, severity: OpenEnum(severity), storedReason: reason.rawValue, message: message,
            difference: difference, author: author, revision: revision)
    }

    /// As it was stored, perhaps by another version.
    public init(
        at: Timestamp, device: DeviceName?, severity: OpenEnum<Severity>, storedReason reason: String, message: String,
        difference: FieldDifference?, author: Author?, revision: Int?
    ) {
        self.at = at
        self.device = device
        self.severity = severity
        self.reason = reason
        self.message = message
        self.difference = difference
        self.author = author
        self.revision = revision
    }
}

extension EventRecord: AnswerDocument {
    public var document: JSONValue {
        [
            "id": JSONValue(id), "time": .string(at.text), "device": JSONValue(device?.text),
            "type": .string(severity.rawValue), "reason": .string(reason), "message": .string(message),
            "field": JSONValue(difference?.field), "wanted": difference?.wanted ?? .null,
            "observed": difference?.observed ?? .null, "actor": JSONValue(author?.name),
            "source": JSONValue(author?.source), "requestId": JSONValue(author?.request),
            "revision": JSONValue(revision.map { String($0) }),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        let field: String? = try reader.optional("field")
        self.init(
            at: try reader.value("time"), device: try reader.optional("device"), severity: try reader.value("type"),
            storedReason: try reader.value("reason"), message: try reader.value("message"),
            difference: field.map {
                FieldDifference(field: $0, wanted: reader.json("wanted"), observed: reader.json("observed"))
            },
            author: try Author(reader), revision: try reader.optionalRevision("revision"))
        id = try reader.optional("id")
    }
}
