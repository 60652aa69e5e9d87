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
    /// One word in CamelCase.
    public let reason: String
    public let message: String
    public let difference: EventDifference?
    /// Whose request caused it; nothing for what the daemon does by itself.
    public let author: Author?
    /// The revision that it made, if it made one.
    public let revision: Int?

    public init(
        at: Timestamp, device: DeviceName?, severity: Severity = .normal, reason: String, message: String,
        difference: EventDifference? = nil, author: Author? = nil, revision: Int? = nil
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
