public import TapCore
public import TapDocument

/// A revision in which statements changed.
public struct ChangeRecord: Hashable, Sendable {
    public let revision: Int
    public let at: Timestamp
    public let author: Author
    /// What changed, by name.
    public let versions: [VersionRecord]

    public init(revision: Int, at: Timestamp, author: Author, versions: [VersionRecord]) {
        self.revision = revision
        self.at = at
        self.author = author
        self.versions = versions
    }
}

/// What was stated of a device from a revision on.
public struct VersionRecord: Hashable, Sendable {
    public struct Statement: Hashable, Sendable {
        public let labels: Labels
        public let spec: DeviceSpec

        public init(labels: Labels, spec: DeviceSpec) {
            self.labels = labels
            self.spec = spec
        }
    }

    public enum Change: String, Hashable, Sendable {
        case created
        case updated
        case deleted
    }

    public let name: DeviceName
    public let identifier: DeviceIdentifier
    public let change: Change
    /// Nothing from where it was to be deleted, and where only the change was asked for.
    public let statement: Statement?

    public init(name: DeviceName, identifier: DeviceIdentifier, change: Change, statement: Statement?) {
        self.name = name
        self.identifier = identifier
        self.change = change
        self.statement = statement
    }
}

/// What the history tells of a revision.
public enum PastStatement: Hashable, Sendable {
    /// The change, and every device that was stated then, by name.
    case known(ChangeRecord, devices: [VersionRecord])
    /// It is older than the history.
    case forgotten(oldest: Int)
    /// No statement changed in it; the newest older one in which some did, if there is one.
    case none(nearest: Int?)
}
