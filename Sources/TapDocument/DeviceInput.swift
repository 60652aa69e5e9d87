public import TapCore

/// What somebody says of a device in a request: everything else of its document is ours to tell.
public struct DeviceInput: Hashable, Sendable {
    public let name: DeviceName
    public let labels: Labels
    public let spec: DeviceSpec
    /// The version that the sender has seen, where the document names one.
    public let resourceVersion: Int?

    public init(name: DeviceName, labels: Labels, spec: DeviceSpec) {
        self.name = name
        self.labels = labels
        self.spec = spec
        resourceVersion = nil
    }

    /// - Parameters:
    ///   - document: The request's body.
    ///   - accounts: Where owner and group must exist.
    ///   - pathName: The name in the path; the body may leave it out, but not name another one.
    /// - Throws: `InvalidDocument` with every mistake.
    public init(
        _ document: JSONValue, accounts: some Accounts, pathName: DeviceName? = nil
    ) throws(InvalidDocument) {
        var root = ObjectReader(document, at: "")
        // A document that was read, edited and sent back has a status; it is not the sender's to say.
        root.skip(["status"])
        guard root.issues.isEmpty else { throw InvalidDocument(root.issues) }

        var metadata = ObjectReader(root.take("metadata"), at: "/metadata")
        let name = metadata.text("name") { (text) throws(ValidationError) in try DeviceName(text) }
        if let pathName, let name, name != pathName {
            metadata.note("name", "is '\(name)', but the path says '\(pathName)'; a device cannot be renamed")
        } else if name == nil, metadata.issues.isEmpty, pathName == nil {
            metadata.note("name", "is missing; it is the only field that a device must have")
        }
        let labels = Labels.reading(metadata.take("labels"), at: "/metadata/labels")
        metadata.note(labels.issues)
        let version = metadata.text("resourceVersion", orNull: true) { (text) throws(ValidationError) in
            guard let number = Int(text), number >= 0, String(number) == text else {
                throw ValidationError("is not a resource version that this API gave")
            }
            return number
        }
        metadata.skip(Self.readOnlyMetadata)
        root.note(metadata.finish(known: Self.metadataFields))

        let reading = SpecReading(root.take("spec"), accounts: accounts, name: name ?? pathName)
        root.note(reading.issues)
        let issues = root.finish(known: ["metadata", "spec", "status"])
        guard issues.isEmpty, let spec = reading.spec, let name = name ?? pathName else {
            throw InvalidDocument(issues)
        }
        self.name = name
        self.labels = labels.value
        self.spec = spec
        resourceVersion = version
    }
}

extension DeviceInput {
    private static let readOnlyMetadata = ["uid", "generation", "createdAt", "updatedAt", "deletionRequestedAt"]
    private static let metadataFields = ["name", "labels", "resourceVersion"] + readOnlyMetadata

    /// Fields of a merge patch that no device has: a null would remove them without a trace.
    public static func unknownFields(inPatch patch: JSONValue) -> [FieldIssue] {
        func unknown(_ value: JSONValue?, at pointer: String, known: [String]) -> [FieldIssue] {
            guard case .object(let members) = value else { return [] }
            var reader = ObjectReader(.object(members), at: pointer)
            reader.skip(known)
            return reader.finish(known: known)
        }
        return unknown(patch, at: "", known: ["metadata", "spec", "status"])
            + unknown(patch["metadata"], at: "/metadata", known: metadataFields)
            + unknown(patch["spec"], at: "/spec", known: SpecReading.fields)
            + unknown(patch["spec"]?["link"], at: "/spec/link", known: SpecReading.linkFields)
    }
}

/// Reads `spec`: first every field by itself, then what they say together.
struct SpecReading {
    static let fields = [
        "kind", "multiQueue", "queues", "access", "packetInfo", "vnetHeader", "vnetHeaderSize", "offloads",
        "sendBufferBytes", "owner", "group", "napi", "napiFrags", "networkNamespace", "link", "adoption",
        "driftPolicy",
    ]
    static let linkFields = [
        "up", "mtu", "macAddress", "txQueueLength", "queueDiscipline", "controller", "alias", "altNames", "addresses",
        "carrier",
    ]

    private(set) var spec: DeviceSpec?
    private(set) var issues: [FieldIssue]

    init(_ value: JSONValue?, accounts: some Accounts, name: DeviceName? = nil) {
        var draft = DeviceSpecDraft()
        var reader = ObjectReader(value, at: "/spec")
        if let kind = reader.word("kind", DeviceKind.self) { draft.kind = kind }
        if let layout = Self.layout(&reader) { draft.queues = layout }
        if let access = reader.word("access", DeviceAccess.self) { draft.access = access }
        if let packetInfo = reader.bool("packetInfo") { draft.packetInfo = packetInfo }
        if let vnetHeader = reader.bool("vnetHeader") { draft.vnetHeader = vnetHeader }
        if let size = reader.integer("vnetHeaderSize", VnetHeaderSize.self) { draft.vnetHeaderSize = size }
        draft.offloads = Self.offloads(&reader)
        draft.sendBuffer = reader.integer("sendBufferBytes", SendBufferBytes.self, orNull: true)
        draft.owner = Self.principal(&reader, "owner", "user") { accounts.userNumber($0) }
        draft.group = Self.principal(&reader, "group", "group") { accounts.groupNumber($0) }
        if let napi = reader.bool("napi") { draft.napi = napi }
        if let napiFrags = reader.bool("napiFrags") { draft.napiFrags = napiFrags }
        draft.networkNamespace = reader.text("networkNamespace", orNull: true) { (text) throws(ValidationError) in
            try NetworkNamespace(text)
        }
        if let adoption = reader.word("adoption", AdoptionPolicy.self) { draft.adoption = adoption }
        if let policy = reader.word("driftPolicy", DriftPolicy.self) { draft.driftPolicy = policy }

        var link = ObjectReader(reader.take("link"), at: "/spec/link")
        draft.link = Self.link(&link, name: name)
        reader.note(link.finish(known: Self.linkFields))
        issues = reader.finish(known: Self.fields)

        // Even with mistakes in single fields, what the others say together is told in the same answer.
        do throws(SpecContradictions) {
            let whole = try DeviceSpec(draft)
            if issues.isEmpty { spec = whole }
        } catch {
            issues += error.found.map { FieldIssue(pointer: $0.field.pointer, detail: $0.detail) }
        }
    }

    private static func link(_ link: inout ObjectReader, name: DeviceName?) -> LinkSpec {
        var draft = LinkSpec()
        if let up = link.bool("up") { draft.up = up }
        if let mtu = link.integer("mtu", MTU.self) { draft.mtu = mtu }
        draft.macAddress = link.text("macAddress", orNull: true) { (text) throws(ValidationError) in
            try MACAddress(text)
        }
        if let length = link.integer("txQueueLength", TransmitQueueLength.self) {
            draft.transmitQueueLength = length
        }
        if let discipline = link.word("queueDiscipline", QueueDiscipline.self) { draft.queueDiscipline = discipline }
        draft.controller = link.text("controller", orNull: true) { (text) throws(ValidationError) in
            guard text != name?.text else { throw ValidationError("a device cannot belong to itself") }
            return try InterfaceName(text)
        }
        draft.alias = link.text("alias", orNull: true) { (text) throws(ValidationError) in try LinkAlias(text) }
        draft.altNames = link.list("altNames", countMax: AlternativeName.countMax) { (text) throws(ValidationError) in
            guard text != name?.text else { throw ValidationError("'\(text)' is the device's own name") }
            return try AlternativeName(text)
        }
        draft.addresses = link.list("addresses", countMax: InterfaceAddress.countMax) {
            (text) throws(ValidationError) in try InterfaceAddress(text)
        }
        if let carrier = link.word("carrier", CarrierPolicy.self) { draft.carrier = carrier }
        return draft
    }

    private static func layout(_ reader: inout ObjectReader) -> QueueLayout? {
        let multiQueue = reader.bool("multiQueue")
        let queues = reader.integer("queues", QueueCount.self)
        guard multiQueue == false else { return queues.map { .multiple($0) } }
        if let queues, queues != .one {
            reader.note("queues", "is \(queues.value), but a device with multiQueue: false has exactly one")
        }
        return .single
    }

    private static func offloads(_ reader: inout ObjectReader) -> Offloads? {
        switch reader.take("offloads") {
        case nil: return nil
        case .array(let words):
            guard words.count <= Offloads.wordsMax else {
                reader.note("offloads", "has \(words.count) elements; \(Offloads.wordsMax) are allowed")
                return nil
            }
            var offloads: Offloads = []
            for (position, word) in words.enumerated() {
                if case .string(let text) = word {
                    let key = "offloads"
                    if let known = reader.noting(
                        key,
                        { () throws(ValidationError) in
                            try Offloads(word: text.shortened)
                        })
                    {
                        offloads.insert(known)
                    }
                } else {
                    reader.note("offloads", "element \(position) must be a string, found \(word.kind)")
                }
            }
            return offloads
        case let other?:
            reader.note("offloads", "must be an array of strings, found \(other.kind)")
            return nil
        }
    }

    private static func principal(
        _ reader: inout ObjectReader, _ key: String, _ what: String, _ find: (Principal) -> UInt32?
    ) -> Principal? {
        let principal: Principal?
        switch reader.take(key) {
        case nil, .null: return nil
        case .integer(let number):
            principal = reader.noting(key) { () throws(ValidationError) in try Principal(number) }
        case .string(let name):
            principal = reader.noting(key) { () throws(ValidationError) in try Principal(name) }
        case let other?:
            reader.note(key, "must be a name, a number or null, found \(other.kind)")
            return nil
        }
        guard let principal else { return nil }
        guard find(principal) != nil else {
            reader.note(key, "no \(what) '\(principal)' exists on this host")
            return nil
        }
        return principal
    }
}
