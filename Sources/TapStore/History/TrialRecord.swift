public import TapCore
public import TapDocument

/// An apply on trial (`confirmWithin`): its devices as they were before, which are restored unless a client confirms
/// it.
public struct TrialRecord: Hashable, Sendable {
    /// Stored as text in the column `state` of the table `apply`.
    public enum State: String, Hashable, Sendable {
        case pending
        case confirmed
        case rolledBack
    }

    /// A device that the apply creates, updates or deletes.
    public struct Device: Hashable, Sendable {
        /// Its name.
        public let name: DeviceName
        /// Distinguishes it from a later device of the same name.
        public let identifier: DeviceIdentifier
        /// Whether the apply deletes it.
        public let isPruned: Bool
        /// What is to be restored; `nil` if the device did not exist.
        public let before: Before?

        public init(name: DeviceName, identifier: DeviceIdentifier, isPruned: Bool, before: Before?) {
            self.name = name
            self.identifier = identifier
            self.isPruned = isPruned
            self.before = before
        }
    }

    /// A device before the apply; the fields mean the same as in `DeviceRecord`.
    public struct Before: Hashable, Sendable {
        /// Its labels.
        public let labels: Labels
        /// Its wanted state.
        public let spec: DeviceSpec
        /// When it was first written.
        public let createdAt: Timestamp
        /// By the queue's number.
        public let assignments: [Int: Assignment]
        /// Numbers of the disabled queues.
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

        /// Copies a device as it is before the apply.
        public init(_ record: DeviceRecord) {
            self.init(
                labels: record.labels, spec: record.spec, createdAt: record.createdAt,
                assignments: record.assignments, disabledQueues: record.disabledQueues)
        }
    }

    /// The apply's revision, by which clients confirm or cancel it.
    public let revision: Int
    /// When it is rolled back unless it was confirmed.
    public let confirmBy: Timestamp
    /// Pending, or how it ended.
    public let state: State
    /// Sorted by name when read; empty once the apply has ended.
    public let devices: [Device]

    public init(revision: Int, confirmBy: Timestamp, state: State = .pending, devices: [Device]) {
        self.revision = revision
        self.confirmBy = confirmBy
        self.state = state
        self.devices = devices
    }
}
