public import TapCore
public import TapDocument

/// Many devices changed at once, until somebody confirms it: else all is as it was before.
public struct TrialRecord: Hashable, Sendable {
    public enum State: String, Hashable, Sendable {
        case pending
        case confirmed
        case rolledBack
    }

    /// What a device was before.
    public struct Device: Hashable, Sendable {
        public let name: DeviceName
        public let identifier: DeviceIdentifier
        /// Whether the trial deletes it.
        public let isPruned: Bool
        /// Nothing for a device that did not exist.
        public let before: Before?

        public init(name: DeviceName, identifier: DeviceIdentifier, isPruned: Bool, before: Before?) {
            self.name = name
            self.identifier = identifier
            self.isPruned = isPruned
            self.before = before
        }
    }

    public struct Before: Hashable, Sendable {
        public let labels: Labels
        public let spec: DeviceSpec
        public let createdAt: Timestamp
        public let assignments: [Int: Assignment]
        public let disabledQueues: Set<Int>

        public init(
            labels: Labels, spec: DeviceSpec, createdAt: Timestamp, assignments: [Int: Assignment],
            disabledQueues: Set<Int>
        ) {
            self.labels = labels
            self.spec = spec
            self.createdAt = createdAt
            self.assignments = assignments
            self.disabledQueues = disabledQueues
        }

        /// The device as it is.
        public init(_ record: DeviceRecord) {
            self.init(
                labels: record.labels, spec: record.spec, createdAt: record.createdAt,
                assignments: record.assignments, disabledQueues: record.disabledQueues)
        }
    }

    public let revision: Int
    public let confirmBy: Timestamp
    public let state: State
    public let devices: [Device]

    public init(revision: Int, confirmBy: Timestamp, state: State = .pending, devices: [Device]) {
        self.revision = revision
        self.confirmBy = confirmBy
        self.state = state
        self.devices = devices
    }
}
