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

    public let name: DeviceName
    public let identifier: DeviceIdentifier
    /// Nothing from where it was to be deleted.
    public let statement: Statement?
    /// Whether it was not stated before.
    public let isNew: Bool

    public init(name: DeviceName, identifier: DeviceIdentifier, statement: Statement?, isNew: Bool) {
        self.name = name
        self.identifier = identifier
        self.statement = statement
        self.isNew = isNew
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
