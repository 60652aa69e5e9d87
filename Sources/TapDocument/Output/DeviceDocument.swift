public import TapCore

/// A device as the API shows it.
public struct DeviceDocument: Hashable, Sendable {
    public struct Metadata: Hashable, Sendable {
        public var name: DeviceName
        public var identifier: DeviceIdentifier
        public var labels: Labels
        /// Rises when the spec changes.
        public var generation: Int
        /// The database's revision of the last change.
        public var resourceVersion: Int
        public var createdAt: Timestamp
        public var updatedAt: Timestamp
        public var deletionRequestedAt: Timestamp?

        public init(
            name: DeviceName, identifier: DeviceIdentifier, labels: Labels, generation: Int, resourceVersion: Int,
            createdAt: Timestamp, updatedAt: Timestamp, deletionRequestedAt: Timestamp?
        ) {
            self.name = name
            self.identifier = identifier
            self.labels = labels
            self.generation = generation
            self.resourceVersion = resourceVersion
            self.createdAt = createdAt
            self.updatedAt = updatedAt
            self.deletionRequestedAt = deletionRequestedAt
        }
    }

    public struct Status: Hashable, Sendable {
        /// The generation with which the kernel was compared last; zero before the first comparison.
        public var observedGeneration: Int
        public var phase: OpenEnum<DevicePhase>
        /// What follows up to `carrier` is `nil` while there is no interface; a tun has no MAC address either.
        public var index: LinkIndex?
        public var macAddress: MACAddress?
        /// In bytes.
        public var mtu: Int?
        /// A word for `OperationalState`, such as `up`.
        public var operationalState: String?
        public var carrier: Bool?
        /// Queues to which the kernel steers; `nil` where that cannot be known.
        public var attachedQueues: Int?
        public var detachedQueues: Int?
        public var drift: [DriftDocument]
        public var lastError: String?
        public var conditions: [ConditionDocument]

        /// - Parameters:
        ///   - status: What was derived from the kernel's answers.
        ///   - phase: The device's phase.
        ///   - leased: The condition `Leased`, which stands behind those of `status`.
        public init(_ status: DeviceStatus, phase: DevicePhase, leased: Condition) {
            let link = status.link
            observedGeneration = status.observedGeneration
            self.phase = OpenEnum(phase)
            index = link?.index
            macAddress = link?.macAddress
            mtu = link?.mtu
            operationalState = link?.operationalState.word
            carrier = link?.carrier
            attachedQueues = link?.tun?.attachedQueues
            detachedQueues = link?.tun?.detachedQueues
            drift = status.drift.map(DriftDocument.init)
            lastError = status.lastError
            conditions = status.conditions.map(ConditionDocument.init) + [ConditionDocument(leased)]
        }
    }

    public var metadata: Metadata
    public var spec: StatedSpec
    public var status: Status

    public init(metadata: Metadata, spec: DeviceSpec, status: Status) {
        self.metadata = metadata
        self.spec = .known(spec)
        self.status = status
    }
}

extension DeviceDocument: AnswerDocument {
    public var document: JSONValue { JSONMembers.object(encode) }

    /// Without a tree of values: devices are what the daemon writes most.
    public var bytes: [UInt8] { JSONWriter.object(encode) }

    private func encode(to json: inout some JSONSink) {
        json.object("metadata") { metadata.encode(to: &$0) }
        spec.encode("spec", to: &json)
        json.object("status") { status.encode(to: &$0) }
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        metadata = try reader.value("metadata")
        spec = try reader.value("spec")
        status = try reader.value("status")
    }
}

extension DeviceDocument.Metadata: JSONReadable {
    fileprivate func encode(to json: inout some JSONSink) {
        json.member("name", name.text)
        json.member("uid", identifier.text)
        json.object("labels") { labels.encode(to: &$0) }
        json.member("generation", generation)
        json.member("resourceVersion", String(resourceVersion))
        json.member("createdAt", createdAt.text)
        json.member("updatedAt", updatedAt.text)
        json.member("deletionRequestedAt", deletionRequestedAt?.text)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        name = try reader.value("name")
        identifier = try reader.value("uid")
        labels = try reader.optional("labels") ?? .none
        generation = try reader.value("generation")
        resourceVersion = try reader.revision("resourceVersion")
        createdAt = try reader.value("createdAt")
        updatedAt = try reader.value("updatedAt")
        deletionRequestedAt = try reader.optional("deletionRequestedAt")
    }
}

extension DeviceDocument.Status: JSONReadable {
    fileprivate func encode(to json: inout some JSONSink) {
        json.member("observedGeneration", observedGeneration)
        json.member("phase", phase.rawValue)
        json.member("ifindex", index.map { Int($0.rawValue) })
        json.member("macAddress", macAddress?.description)
        json.member("mtu", mtu)
        json.member("operationalState", operationalState)
        json.member("carrier", carrier.map { .bool($0) } ?? .null)
        json.member("attachedQueues", attachedQueues)
        json.member("detachedQueues", detachedQueues)
        json.member("drift", .array(drift.map(\.document)))
        json.member("lastError", lastError)
        json.objects("conditions", conditions) { $1.encode(to: &$0) }
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        observedGeneration = try reader.value("observedGeneration")
        phase = try reader.value("phase")
        index = try reader.optional("ifindex")
        macAddress = try reader.optional("macAddress")
        mtu = try reader.optional("mtu")
        operationalState = try reader.optional("operationalState")
        carrier = try reader.optional("carrier")
        attachedQueues = try reader.optional("attachedQueues")
        detachedQueues = try reader.optional("detachedQueues")
        drift = try reader.list("drift")
        lastError = try reader.optional("lastError")
        conditions = try reader.list("conditions")
    }
}

extension OperationalState {
    /// The word for it in the API.
    fileprivate var word: String {
        switch self {
        case .unknown: "unknown"
        case .notPresent: "notPresent"
        case .down: "down"
        case .lowerLayerDown: "lowerLayerDown"
        case .testing: "testing"
        case .dormant: "dormant"
        case .up: "up"
        }
    }
}
