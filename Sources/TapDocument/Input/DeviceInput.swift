public import TapCore

/// The part of a device document that a client sets; the rest is read-only.
public struct DeviceInput: Hashable, Sendable {
    /// From the document or from the path.
    public let name: DeviceName
    /// Empty if the document has none.
    public let labels: Labels
    /// With defaults for missing fields.
    public let spec: DeviceSpec
    /// The version that the client has read; `nil` if the document has none.
    public let resourceVersion: Int?

    public init(name: DeviceName, labels: Labels, spec: DeviceSpec) {
        self.name = name
        self.labels = labels
        self.spec = spec
        resourceVersion = nil
    }

    /// - Parameters:
    ///   - document: The request's body.
    ///   - accounts: Looks up owner and group, which must exist.
    ///   - pathName: The name in the path; the body may omit the name, but must not have a different one.
    ///   - existing: The spec of the device of a name; `nil` if there is none. Fields that are fixed at creation and
    ///     that the body omits are taken from it, instead of the defaults.
    /// - Throws: `InvalidDocument` with every mistake.
    public init(
        _ document: JSONValue, accounts: some Accounts, pathName: DeviceName? = nil,
        existing: (DeviceName) -> DeviceSpec? = { _ in nil }
    ) throws(InvalidDocument) {
        var root = ObjectReader(document, at: "")
        guard root.issues.isEmpty else { throw InvalidDocument(root.issues) }
        let metadata = MetadataReading(root.value("metadata"), pathName: pathName)
        root.note(metadata.issues)
        let name = metadata.name ?? pathName
        let reading = SpecReading(
            root.value("spec"), accounts: accounts, name: name, existing: name.flatMap(existing))
        root.note(reading.issues)
        // A client may send back a document that it read, with its status, which is read-only.
        root.skip(["status"])
        let issues = root.finish()
        guard issues.isEmpty, let spec = reading.spec, let name else {
            throw InvalidDocument(issues)
        }
        self.name = name
        labels = metadata.labels
        self.spec = spec
        resourceVersion = metadata.resourceVersion
    }
}

extension DeviceInput {
    /// The device as a request body.
    public var document: JSONValue {
        ["metadata": ["name": .string(name.text), "labels": labels.document], "spec": spec.document]
    }

    /// Unknown fields of a merge patch (RFC 7396): without this check, an unknown field with null would be ignored.
    public static func unknownFields(inPatch patch: JSONValue) -> [FieldIssue] {
        func unknown(_ value: JSONValue?, at pointer: String, known: [String]) -> [FieldIssue] {
            guard case .object = value else { return [] }
            var reader = ObjectReader(value, at: pointer)
            reader.skip(known)
            return reader.finish()
        }
        guard case .object = patch else { return [] }
        var root = ObjectReader(patch, at: "")
        let (metadata, spec) = (root.value("metadata"), root.value("spec"))
        root.skip(["status"])
        return root.finish()
            + unknown(metadata, at: "/metadata", known: MetadataReading.keys)
            + unknown(spec, at: "/spec", known: SpecReading.keys)
            + unknown(spec?["link"], at: "/spec/link", known: SpecReading.linkKeys)
    }
}

/// Reads `metadata`.
private struct MetadataReading {
    /// The keys of the fields, in the order of reading.
    static let keys = MetadataReading(nil, pathName: nil).keys

    private static let readOnly = ["uid", "generation", "createdAt", "updatedAt", "deletionRequestedAt"]

    let name: DeviceName?
    let labels: Labels
    let resourceVersion: Int?
    let issues: [FieldIssue]
    private let keys: [String]

    init(_ value: JSONValue?, pathName: DeviceName?) {
        var reader = ObjectReader(value, at: "/metadata")
        let name = reader.text("name") { (text) throws(ValidationError) in try DeviceName(text) }
        if let pathName, let name, name != pathName {
            reader.note("name", "is '\(name)', but the path says '\(pathName)'; a device cannot be renamed")
        } else if name == nil, reader.issues.isEmpty, pathName == nil {
            reader.note("name", "is missing; it is the only required field")
        }
        let labels = Labels.reading(reader.value("labels"), at: "/metadata/labels")
        reader.note(labels.issues)
        resourceVersion = reader.text("resourceVersion", orNull: true) { (text) throws(ValidationError) in
            guard let number = Int(text), number >= 0, String(number) == text else {
                throw ValidationError("is not a resource version from this API")
            }
            return number
        }
        reader.skip(Self.readOnly)
        self.name = name
        self.labels = labels.value
        keys = reader.keys
        issues = reader.finish()
    }
}

/// Reads `spec`: first each field, then the combination of the fields.
struct SpecReading {
    /// The keys of the fields of `spec` and of `spec.link`, in the order of reading.
    static let (keys, linkKeys) = {
        let reading = SpecReading(nil, accounts: AnyAccount())
        return (reading.keys, reading.linkKeys)
    }()

    private(set) var spec: DeviceSpec?
    private(set) var issues: [FieldIssue]
    private let keys: [String]
    private let linkKeys: [String]

    /// - Parameters:
    ///   - value: The member `spec`.
    ///   - accounts: Looks up owner and group, which must exist.
    ///   - name: The device's name; `nil` if it is invalid or unknown.
    ///   - existing: The device's spec, for omitted fields that it keeps; `nil` if there is no device.
    ///   - isOpen: Whether to ignore unknown fields.
    ///   - ipv6: The default of `link.ipv6` of a new device. An existing one keeps its own, so that a document of an
    ///     earlier version, which does not have the field, cuts no connection.
    init(
        _ value: JSONValue?, accounts: some Accounts, name: DeviceName? = nil, existing: DeviceSpec? = nil,
        isOpen: Bool = false, ipv6: IPv6Policy = .stated
    ) {
        var draft = DeviceSpecDraft(existing)
        var reader = ObjectReader(value, at: "/spec", isOpen: isOpen)
        if let kind = reader.word("kind", DeviceKind.self) { draft.kind = kind }
        let (multiQueue, queues) = (reader.bool("multiQueue"), reader.integer("queues", QueueCount.self))
        if let access = reader.word("access", DeviceAccess.self) { draft.access = access }
        // Programs that open a device by name with one queue do not set IFF_MULTI_QUEUE, such as QEMU with `ifname=`.
        let isMultipleByDefault = existing?.queues.isMultiple ?? (draft.access == .brokered)
        draft.queues = Self.layout(&reader, multiQueue, queues, isMultipleByDefault)
        if let packetInfo = reader.bool("packetInfo") { draft.packetInfo = packetInfo }
        if let vnetHeader = reader.bool("vnetHeader") { draft.vnetHeader = vnetHeader }
        if let size = reader.integer("vnetHeaderSize", VnetHeaderSize.self) { draft.vnetHeaderSize = size }
        draft.offloads = Self.offloads(&reader)
        draft.sendBuffer = reader.integer("sendBufferBytes", SendBufferBytes.self, orNull: true)
        draft.owner = Self.principal(&reader, "owner", "user") { accounts.userNumber($0) }
        draft.group = Self.principal(&reader, "group", "group") { accounts.groupNumber($0) }
        if let napi = reader.bool("napi") { draft.napi = napi }
        if let napiFrags = reader.bool("napiFrags") { draft.napiFrags = napiFrags }
        let keepsNamespace = !reader.has("networkNamespace")
        let namespace = reader.text("networkNamespace", orNull: true) { (text) throws(ValidationError) in
            try NetworkNamespace(text)
        }
        if !keepsNamespace { draft.networkNamespace = namespace }
        var link = ObjectReader(reader.value("link"), at: "/spec/link", isOpen: isOpen)
        draft.link = Self.link(&link, name: name, ipv6: existing?.link.ipv6 ?? ipv6)
        linkKeys = link.keys
        reader.note(link.finish())
        if let adoption = reader.word("adoption", AdoptionPolicy.self) { draft.adoption = adoption }
        if let policy = reader.word("driftPolicy", DriftPolicy.self) { draft.driftPolicy = policy }

        keys = reader.keys
        issues = reader.finish()

        // Contradictions between the valid fields are reported together with the invalid fields.
        do throws(SpecContradictions) {
            let whole = try DeviceSpec(draft)
            if issues.isEmpty { spec = whole }
        } catch {
            issues += error.found.map { FieldIssue(pointer: $0.field.pointer, detail: $0.detail) }
        }
    }

    private static func link(_ link: inout ObjectReader, name: DeviceName?, ipv6: IPv6Policy) -> LinkSpec {
        var draft = LinkSpec()
        if let up = link.bool("up") { draft.up = up }
        if let mtu = link.integer("mtu", MTU.self) { draft.mtu = mtu }
        if let policy = link.word("mtuPolicy", MTUPolicy.self) { draft.mtuPolicy = policy }
        draft.macAddress = link.text("macAddress", orNull: true) { (text) throws(ValidationError) in
            try MACAddress(text)
        }
        if let length = link.integer("txQueueLength", TransmitQueueLength.self) {
            draft.transmitQueueLength = length
        }
        if let discipline = link.word("queueDiscipline", QueueDiscipline.self) { draft.queueDiscipline = discipline }
        draft.controller = link.text("controller", orNull: true) { (text) throws(ValidationError) in
            guard text != name?.text else { throw ValidationError("a device cannot be its own controller") }
            return try InterfaceName(text)
        }
        if let policy = link.word("controllerPolicy", ControllerPolicy.self) { draft.controllerPolicy = policy }
        draft.alias = link.text("alias", orNull: true) { (text) throws(ValidationError) in try LinkAlias(text) }
        draft.altNames = link.list("altNames", countMax: AlternativeName.countMax) { (text) throws(ValidationError) in
            guard text != name?.text else { throw ValidationError("'\(text)' is the device's own name") }
            return try AlternativeName(text)
        }
        draft.addresses = link.list("addresses", countMax: InterfaceAddress.countMax) {
            (text) throws(ValidationError) in try InterfaceAddress(text)
        }
        if let detects = link.bool("duplicateAddressDetection") { draft.duplicateAddressDetection = detects }
        draft.ipv6 = link.word("ipv6", IPv6Policy.self) ?? ipv6
        if let carrier = link.word("carrier", CarrierPolicy.self) { draft.carrier = carrier }
        draft.gsoMaxBytes = link.integer("gsoMaxBytes", GSOMaxBytes.self, orNull: true)
        draft.gsoIPv4MaxBytes = link.integer("gsoIPv4MaxBytes", GSOMaxBytes.self, orNull: true)
        return draft
    }

    private static func layout(
        _ reader: inout ObjectReader, _ multiQueue: Bool?, _ queues: QueueCount?, _ isMultipleByDefault: Bool
    ) -> QueueLayout {
        let count = queues ?? .one
        guard multiQueue == false || multiQueue == nil && !isMultipleByDefault && count == .one else {
            return .multiple(count)
        }
        if count != .one {
            reader.note("queues", "is \(count.value), but a device with multiQueue: false has exactly one")
        }
        return .single
    }

    private static func offloads(_ reader: inout ObjectReader) -> Offloads? {
        switch reader.value("offloads") {
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
        switch reader.value(key) {
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

extension DeviceSpecDraft {
    /// The defaults, but for fields that are fixed at creation, which an existing device keeps.
    fileprivate init(_ existing: DeviceSpec?) {
        self.init()
        guard let existing else { return }
        kind = existing.kind
        networkNamespace = existing.networkNamespace
        packetInfo = existing.packetInfo
        vnetHeader = existing.vnetHeader
    }
}

/// Accepts every account.
struct AnyAccount: Accounts {
    func userNumber(_ principal: Principal) -> UInt32? { 0 }
    func groupNumber(_ principal: Principal) -> UInt32? { 0 }
    func userName(_ number: UInt32) -> String? { nil }
}
