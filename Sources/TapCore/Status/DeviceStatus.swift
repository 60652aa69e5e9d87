/// One sentence of a status, as in Kubernetes.
public struct Condition: Hashable, Sendable {
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        case ready = "Ready"
        case drifted = "Drifted"
        case conflict = "Conflict"
        case leased = "Leased"
    }

    public let kind: Kind
    public let holds: Bool
    /// One word in CamelCase for machines.
    public let reason: String
    /// A sentence for people: what was found and what to do.
    public let message: String
    public let lastTransition: Timestamp

    public init(_ kind: Kind, holds: Bool, reason: String, message: String, since lastTransition: Timestamp) {
        self.kind = kind
        self.holds = holds
        self.reason = reason
        self.message = message
        self.lastTransition = lastTransition
    }
}

public enum DevicePhase: String, CaseIterable, Hashable, Sendable {
    case pending = "Pending"
    case ready = "Ready"
    case degraded = "Degraded"
    case deleting = "Deleting"
}

/// A difference that came about after the spec had been reached.
public struct Drift: Hashable, Sendable {
    public let difference: Difference
    public let since: Timestamp

    public init(_ difference: Difference, since: Timestamp) {
        self.difference = difference
        self.since = since
    }
}

/// What is the case, derived from the kernel's answers and never stored.
public struct DeviceStatus: Hashable, Sendable {
    /// The generation that the last look compared the kernel with; zero before the first.
    public var observedGeneration = 0
    public var link: ObservedLink?
    public var drift: [Drift] = []
    /// What would be done about the drift, if it were not left alone.
    public var plannedSteps: [Step] = []
    public var lastError: String?
    public var conditions: [Condition] = []

    public init() {}

    public subscript(kind: Condition.Kind) -> Condition? {
        conditions.first { $0.kind == kind }
    }

    /// Replaces a condition; the time of its last transition stays unless it turned.
    public mutating func set(_ kind: Condition.Kind, holds: Bool, reason: String, message: String, at now: Timestamp) {
        let old = self[kind]
        let since = old.map { $0.holds == holds ? $0.lastTransition : now } ?? now
        conditions.removeAll { $0.kind == kind }
        conditions.append(Condition(kind, holds: holds, reason: reason, message: message, since: since))
        conditions.sort { $0.kind.rawValue < $1.kind.rawValue }
    }

    public var isReady: Bool { self[.ready]?.holds == true }

    /// The phase in which this status puts a device of the given generation.
    public func phase(generation: Int, isDeletionRequested: Bool) -> DevicePhase {
        if isDeletionRequested { return .deleting }
        guard observedGeneration == generation else { return .pending }
        return isReady ? .ready : .degraded
    }
}
