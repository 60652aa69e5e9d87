public import TapCore

/// How a revision or a request changes a device.
public struct ChangedDevice: Hashable, Sendable {
    /// The kind of change.
    public enum Change: String, Hashable, Sendable {
        case created
        case updated
        case deleted
        /// In answers only: the request names the device, but does not change it.
        case unchanged
    }

    /// Name of the device.
    public let name: DeviceName
    /// The kind of change.
    public let change: OpenEnum<Change>

    public init(name: DeviceName, change: Change) {
        self.name = name
        self.change = OpenEnum(change)
    }
}

extension ChangedDevice: AnswerDocument {
    public var document: JSONValue { ["name": .string(name.text), "change": .string(change.rawValue)] }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        name = try reader.value("name")
        change = try reader.value("change")
    }
}

/// The wanted state of a device in a revision; POST /v1/apply accepts it as an element of `devices`.
public struct PastDevice: Hashable, Sendable {
    /// Name of the device.
    public var name: DeviceName
    /// Its labels in the revision.
    public var labels: Labels
    /// Its spec in the revision.
    public var spec: AnsweredSpec

    public init(_ input: DeviceInput) {
        name = input.name
        labels = input.labels
        spec = .known(input.spec)
    }
}

extension PastDevice: AnswerDocument {
    public var document: JSONValue {
        JSONMembers.object { json in
            json.object("metadata") { metadata in
                metadata.member("name", name.text)
                metadata.object("labels") { labels.encode(to: &$0) }
            }
            spec.encode("spec", to: &json)
        }
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        let metadata = try MemberReader(reader.value("metadata"), at: reader.place("metadata"))
        name = try metadata.value("name")
        labels = try metadata.optional("labels") ?? .none
        spec = try reader.value("spec")
    }
}

/// A revision in which specs changed.
public struct RevisionDocument: Hashable, Sendable {
    /// The number of the revision; a string in the document.
    public var revision: Int
    /// The member `time`.
    public var at: Timestamp
    /// The caller whose request caused the change.
    public var author: Author
    /// The changed devices, sorted by name.
    public var changes: [ChangedDevice]
    /// All devices in the revision, sorted by name; `nil` in a list of revisions.
    public var devices: [PastDevice]?

    public init(
        revision: Int, at: Timestamp, author: Author, changes: [ChangedDevice], devices: [PastDevice]? = nil
    ) {
        self.revision = revision
        self.at = at
        self.author = author
        self.changes = changes
        self.devices = devices
    }
}

extension RevisionDocument: AnswerDocument {
    /// The member `devices` is omitted if it is `nil`.
    public var document: JSONValue {
        var members: [String: JSONValue] = [
            "revision": .string(String(revision)), "time": .string(at.text), "actor": .string(author.name),
            "source": .string(author.source), "requestId": .string(author.request),
            "changes": .array(changes.map(\.document)),
        ]
        if let devices { members["devices"] = .array(devices.map(\.document)) }
        return .object(members)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        revision = try reader.revision("revision")
        at = try reader.value("time")
        author = try Author(reader) ?? Author(name: "", source: "", request: "")
        changes = try reader.value("changes")
        devices = try reader.optional("devices")
    }
}
