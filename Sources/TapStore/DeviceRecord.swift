public import TapCore
public import TapDocument

/// A device as the database keeps it: what was stated, and what proves that its interface is ours.
public struct DeviceRecord: Hashable, Sendable {
    public let name: DeviceName
    public let identifier: DeviceIdentifier
    public var labels: Labels
    public var spec: DeviceSpec
    /// Rises when the spec changes.
    public var generation = 1
    /// The database's revision of the last change.
    public var revision = 0
    public let createdAt: Timestamp
    public var updatedAt: Timestamp
    public var deletionRequestedAt: Timestamp?
    /// The newest generation that was read back from the kernel and found equal.
    public var settledGeneration = 0
    /// The newest generation for which somebody allowed the device to be made anew.
    public var recreateGeneration = 0
    public var claim: Claim?
    /// By queue: to whom it belongs. A queue that is not in it is nobody's.
    public var assignments: [Int: Assignment] = [:]
    /// Queues that somebody has disabled.
    public var disabledQueues: Set<Int> = []

    /// Whether the present generation may cost the device its interface.
    public var recreate: Bool { recreateGeneration > settledGeneration }

    public init(
        name: DeviceName, identifier: DeviceIdentifier, labels: Labels, spec: DeviceSpec, createdAt: Timestamp
    ) {
        self.name = name
        self.identifier = identifier
        self.labels = labels
        self.spec = spec
        self.createdAt = createdAt
        updatedAt = createdAt
    }
}
