public import TapCore
public import TapDocument

/// A device as the database keeps it: its wanted state, and the claim that proves that Tapster owns its interface.
public struct DeviceRecord: Hashable, Sendable {
    /// Unique among the devices.
    public let name: DeviceName
    /// Stays the same for the device's life; a later device of the same name has another one.
    public let identifier: DeviceIdentifier
    /// `metadata.labels` of the API.
    public var labels: Labels
    /// The wanted state, complete with defaults.
    public var spec: DeviceSpec
    /// Incremented when the spec changes.
    public var generation = 1
    /// The database's revision of the last change.
    public var revision = 0
    /// When the device was first written.
    public let createdAt: Timestamp
    /// When the last change was written.
    public var updatedAt: Timestamp
    /// `nil` unless the device is to be deleted. The row stays until the interface is gone.
    public var deletionRequestedAt: Timestamp?
    /// The newest generation that was read back from the kernel and found equal.
    public var settledGeneration = 0
    /// The spec that the kernel matched before the current one, while that is not settled and drift is only reported;
    /// `nil` if it is not known.
    public var reachedSpec: DeviceSpec?
    /// The newest generation for which a client allowed the device to be recreated.
    public var recreateGeneration = 0
    /// The interface that Tapster owns for the device; `nil` until it has created or adopted one.
    public var claim: Claim?
    /// The consumer that each queue is assigned to, by the queue's number. Other queues are unassigned.
    public var assignments: [Int: Assignment] = [:]
    /// Numbers of the queues that a client has disabled.
    public var disabledQueues: Set<Int> = []

    /// Whether the current generation may delete and recreate the interface.
    public var recreate: Bool { recreateGeneration > settledGeneration }

    /// Begins a new generation with another spec, or with the same one.
    public mutating func beginGeneration(_ new: DeviceSpec) {
        if settledGeneration == generation { reachedSpec = spec }
        if new.driftPolicy != .report { reachedSpec = nil }
        generation += 1
        spec = new
    }

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
