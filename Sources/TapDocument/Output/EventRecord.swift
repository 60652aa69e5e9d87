public import TapCore

/// An event in the history of a device or of the daemon, as stored in the database and shown by GET /v1/events.
public struct EventRecord: Hashable, Sendable {
    /// The member `type`.
    public enum Severity: String, Hashable, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// Increases with each event; `nil` before the event is stored.
    public var id: Int?
    /// The member `time`.
    public let at: Timestamp
    /// `nil` if the event concerns no single device.
    public let device: DeviceName?
    /// The member `type`.
    public let severity: OpenEnum<Severity>
    /// The raw value of an `EventReason`; an event of another version may have another value.
    public let reason: String
    /// A sentence for people.
    public let message: String
    /// The field that the event concerns; `nil` for most events.
    public let difference: FieldDifference?
    /// The lease that the event concerns; `nil` for other events.
    public let lease: EventLease?
    /// The caller whose request caused it; `nil` if the daemon acted by itself.
    public let author: Author?
    /// The revision that the change created; `nil` if it created none.
    public let revision: Int?

    public init(
        at: Timestamp, device: DeviceName?, severity: Severity = .normal, reason: EventReason, message: String,
        difference: FieldDifference? = nil, lease: EventLease? = nil, author: Author? = nil, revision: Int? = nil
    ) {
        self.init(
            at: at, device: device, severity: OpenEnum(severity), storedReason: reason.rawValue, message: message,
            difference: difference, lease: lease, author: author, revision: revision)
    }

    /// An event from the database, possibly written by another version.
    public init(
        at: Timestamp, device: DeviceName?, severity: OpenEnum<Severity>, storedReason reason: String, message: String,
        difference: FieldDifference?, lease: EventLease? = nil, author: Author?, revision: Int?
    ) {
        self.at = at
        self.device = device
        self.severity = severity
        self.reason = reason
        self.message = message
        self.difference = difference
        self.lease = lease
        self.author = author
        self.revision = revision
    }
}

extension EventRecord: AnswerDocument {
    /// Members without a value are null.
    public var document: JSONValue {
        [
            "id": JSONValue(id), "time": .string(at.text), "device": JSONValue(device?.text),
            "type": .string(severity.rawValue), "reason": .string(reason), "message": .string(message),
            "field": JSONValue(difference?.field), "wanted": difference?.wanted ?? .null,
            "observed": difference?.observed ?? .null, "lease": lease?.document ?? .null,
            "actor": JSONValue(author?.name),
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
            lease: try reader.optional("lease"), author: try Author(reader),
            revision: try reader.optionalRevision("revision"))
        id = try reader.optional("id")
    }
}
