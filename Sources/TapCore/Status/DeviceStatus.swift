/// One statement about a device's status, as in Kubernetes.
public struct Condition: Hashable, Sendable {
    /// The condition's `type` in the API.
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        /// The kernel matches the newest generation of the spec, and its addresses can be used, or will be once a
        /// consumer attaches.
        case ready = "Ready"
        /// Programs can use the spec's addresses.
        case addressesUsable = "AddressesUsable"
        /// Another process has changed the device, and Tapster has not repaired it.
        case drifted = "Drifted"
        /// Another interface or process prevents the wanted state, or an immutable field differs.
        case conflict = "Conflict"
        /// At least one queue is leased.
        case leased = "Leased"
        /// Other processes have queues open that are not leased, or more than the spec permits.
        case strayQueues = "StrayQueues"
    }

    /// Unique within a status.
    public let kind: Kind
    /// Whether the condition is true (`status` in the API).
    public let holds: Bool
    /// One word in CamelCase, for programs.
    public let reason: String
    /// One sentence for people: what was found and what to do.
    public let message: String
    /// The time at which `holds` last changed (`lastTransitionTime` in the API).
    public let lastTransition: Timestamp

    public init(_ kind: Kind, holds: Bool, reason: String, message: String, since lastTransition: Timestamp) {
        self.kind = kind
        self.holds = holds
        self.reason = reason
        self.message = message
        self.lastTransition = lastTransition
    }
}

/// A summary of the status (`phase` in the API).
public enum DevicePhase: String, CaseIterable, Hashable, Sendable {
    /// The newest generation has not been compared with the kernel yet.
    case pending = "Pending"
    /// The kernel matches the spec.
    case ready = "Ready"
    /// The kernel does not match the spec.
    case degraded = "Degraded"
    /// A request has asked for the deletion.
    case deleting = "Deleting"
}

/// A difference that appeared after the kernel had matched the spec.
public struct Drift: Hashable, Sendable {
    /// The wanted and the observed value.
    public let difference: Difference
    /// The time of the first observation.
    public let since: Timestamp

    public init(_ difference: Difference, since: Timestamp) {
        self.difference = difference
        self.since = since
    }
}

/// The observed state of a device. Derived from the kernel, never stored.
public struct DeviceStatus: Hashable, Sendable {
    /// The generation with which the last pass compared the kernel; zero before the first pass.
    public var observedGeneration = 0
    /// The device's interface; `nil` if it does not exist.
    public var link: ObservedLink?
    /// Fields that have drifted and were not repaired.
    public var drift: [Drift] = []
    /// The steps that would repair drift that Tapster leaves as it is.
    public var plannedSteps: [Step] = []
    /// Stray queues that last; `nil` if there are none.
    public var strayQueues: StrayQueues?
    /// For people; `nil` if the last pass had no error.
    public var lastError: String?
    /// At most one of each kind, sorted by the kind's name.
    public var conditions: [Condition] = []

    public init() {}

    /// `nil` if the condition has not been set.
    public subscript(kind: Condition.Kind) -> Condition? {
        conditions.first { $0.kind == kind }
    }

    /// Replaces a condition. Its `lastTransition` changes only if `holds` does.
    public mutating func set(_ kind: Condition.Kind, holds: Bool, reason: String, message: String, at now: Timestamp) {
        let old = self[kind]
        let since = old.map { $0.holds == holds ? $0.lastTransition : now } ?? now
        conditions.removeAll { $0.kind == kind }
        conditions.append(Condition(kind, holds: holds, reason: reason, message: message, since: since))
        conditions.sort { $0.kind.rawValue < $1.kind.rawValue }
    }

    /// Whether the condition `Ready` is true.
    public var isReady: Bool { self[.ready]?.holds == true }

    /// The phase of a device with this status and the given generation.
    public func phase(generation: Int, isDeletionRequested: Bool) -> DevicePhase {
        if isDeletionRequested { return .deleting }
        guard observedGeneration == generation else { return .pending }
        return isReady ? .ready : .degraded
    }
}
