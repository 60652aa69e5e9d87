public import TapCore
public import TapDocument

/// A revision in which the wanted state of devices changed. The versions before it are kept by a trigger of the
/// database.
public struct ChangeRecord: Hashable, Sendable {
    /// The database's revision.
    public let revision: Int
    /// When the change was made.
    public let at: Timestamp
    /// The client that made it.
    public let author: Author
    /// How many devices it created, updated or deleted.
    public let devicesCount: Int

    public init(revision: Int, at: Timestamp, author: Author, devicesCount: Int) {
        self.revision = revision
        self.at = at
        self.author = author
        self.devicesCount = devicesCount
    }
}

/// A change in the history.
public struct PastChange: Hashable, Sendable {
    /// When, by which client, and how many devices.
    public let record: ChangeRecord
    /// The devices that it created, updated or deleted, sorted by name.
    public let devices: [ChangedDevice]

    public init(record: ChangeRecord, devices: [ChangedDevice]) {
        self.record = record
        self.devices = devices
    }
}

/// The wanted state at a revision, as far as the history has it.
public enum PastState: Hashable, Sendable {
    /// The change, and the wanted state of every device after it, sorted by name.
    case known(PastChange, devices: [DeviceInput])
    /// The revision is older than the oldest one that is kept.
    case forgotten(oldest: Int)
    /// The wanted state did not change in this revision. `nearest` is the newest older one in which it did; `nil` if
    /// there is none.
    case none(nearest: Int?)
}
