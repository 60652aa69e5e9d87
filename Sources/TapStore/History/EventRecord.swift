public import TapCore
public import TapDocument

/// What happened to a device, for people.
public struct EventRecord: Hashable, Sendable {
    public enum Severity: String, Hashable, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// Rises with each event; nothing before the event is stored.
    public var id: Int?
    public let at: Timestamp
    public let device: DeviceName?
    public let severity: Severity
    /// The raw value of an `EventReason`; in an event that an earlier version stored, perhaps another word.
    public let reason: String
    public let message: String
    public let difference: EventDifference?
    /// Whose request caused it; nothing for what the daemon does by itself.
    public let author: Author?
    /// The revision that it made, if it made one.
    public let revision: Int?

    public init(
        at: Timestamp, device: DeviceName?, severity: Severity = .normal, reason: EventReason, message: String,
        difference: EventDifference? = nil, author: Author? = nil, revision: Int? = nil
    ) {
        self.init(
            at: at, device: device, severity: severity, storedReason: reason.rawValue, message: message,
            difference: difference, author: author, revision: revision)
    }

    init(
        at: Timestamp, device: DeviceName?, severity: Severity, storedReason reason: String, message: String,
        difference: EventDifference?, author: Author?, revision: Int?
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

/// A field, what was wanted and what was found.
public struct EventDifference: Hashable, Sendable {
    public let field: String
    public let wanted: JSONValue
    public let observed: JSONValue

    public init(field: String, wanted: JSONValue, observed: JSONValue) {
        self.field = field
        self.wanted = wanted
        self.observed = observed
    }
}
