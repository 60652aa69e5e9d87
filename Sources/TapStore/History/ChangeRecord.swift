public import TapCore
public import TapDocument

/// A revision in which statements changed. What was stated before is kept by the database itself, as devices are saved.
public struct ChangeRecord: Hashable, Sendable {
    public let revision: Int
    public let at: Timestamp
    public let author: Author
    /// How many devices' statements changed.
    public let devicesCount: Int

    public init(revision: Int, at: Timestamp, author: Author, devicesCount: Int) {
        self.revision = revision
        self.at = at
        self.author = author
        self.devicesCount = devicesCount
    }
}

/// What the history tells of a change.
public struct PastChange: Hashable, Sendable {
    public let record: ChangeRecord
    /// By name.
    public let devices: [ChangedDevice]

    public init(record: ChangeRecord, devices: [ChangedDevice]) {
        self.record = record
        self.devices = devices
    }
}

/// What the history tells of a revision.
public enum PastStatement: Hashable, Sendable {
    /// The change, and every device that was stated then, by name.
    case known(PastChange, devices: [DeviceInput])
    /// It is older than the history.
    case forgotten(oldest: Int)
    /// No statement changed in it; the newest older one in which some did, if there is one.
    case none(nearest: Int?)
}
