public import TapCore

/// A device as the API shows it.
public struct DeviceDocument: Hashable, Sendable {
    /// Identity, labels and versions of the device.
    public struct Metadata: Hashable, Sendable {
        /// Also the name of the interface.
        public var name: DeviceName
        /// The member `uid`: a device that is deleted and created again has another one.
        public var identifier: DeviceIdentifier
        /// Set by clients.
        public var labels: Labels
        /// Increases with each change of the spec.
        public var generation: Int
        /// The database's revision of the last change of the device; a string in the document.
        public var resourceVersion: Int
        /// When the device was created in the database.
        public var createdAt: Timestamp
        /// When spec or labels changed last, or the deletion was requested.
        public var updatedAt: Timestamp
        /// `nil` unless the device is being deleted.
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

    /// The state of the device in the kernel, compared with the spec.
    public struct Status: Hashable, Sendable {
        /// The generation that the kernel was compared with last; 0 before the first comparison.
        public var observedGeneration: Int
        /// Summary of the conditions.
        public var phase: OpenEnum<DevicePhase>
        /// The member `ifindex`; `nil` while there is no interface.
        public var index: LinkIndex?
        /// `nil` while there is no interface, and for a tun device.
        public var macAddress: MACAddress?
        /// In bytes; `nil` while there is no interface.
        public var mtu: Int?
        /// An `OperationalState` (RFC 2863), such as `up`; `nil` while there is no interface.
        public var operationalState: String?
        /// `nil` while there is no interface.
        public var carrier: Bool?
        /// Number of queues to which the kernel steers packets; `nil` if it is unknown.
        public var attachedQueues: Int?
        /// Number of open queues that are detached; `nil` if it is unknown.
        public var detachedQueues: Int?
        /// Open queues that are not leased, or exceed the spec's; `nil` if there are none.
        public var strayQueues: StrayQueues?
        /// The size in bytes that consumers find, which they may have negotiated otherwise than the spec; `nil` without
        /// an anchor.
        public var vnetHeaderSize: Int?
        /// The offloads that consumers have negotiated, as ethtool(8) shows them; `nil` without an anchor.
        public var offloads: [String]?
        /// The drift that the last pass left unrepaired.
        public var drift: [DriftDocument]
        /// The failure of the last pass over the device; `nil` if it did not fail.
        public var lastError: String?
        /// Sorted by type, but with `Leased` last.
        public var conditions: [ConditionDocument]

        /// - Parameters:
        ///   - status: The status derived from the state of the kernel.
        ///   - phase: The device's phase.
        ///   - leased: The condition `Leased`, which is appended to those of `status`.
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
            strayQueues = status.strayQueues
            vnetHeaderSize = link?.tun?.vnetHeaderSize
            offloads = link?.tun?.offloads?.names
            drift = status.drift.map(DriftDocument.init)
            lastError = status.lastError
            conditions = status.conditions.map(ConditionDocument.init) + [ConditionDocument(leased)]
        }
    }

    /// Identity, labels and versions.
    public var metadata: Metadata
    /// The wanted state.
    public var spec: AnsweredSpec
    /// The observed state.
    public var status: Status

    public init(metadata: Metadata, spec: DeviceSpec, status: Status) {
        self.metadata = metadata
        self.spec = .known(spec)
        self.status = status
    }
}

extension DeviceDocument: AnswerDocument {
    /// The device as a tree of values, which is slower than `bytes`.
    public var document: JSONValue { JSONMembers.object(encode) }

    /// Written without a tree of values, since the daemon writes devices most often.
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
        json.member("strayQueues", strayQueues?.document ?? .null)
        json.member("vnetHeaderSize", vnetHeaderSize)
        json.member("offloads", offloads.map { .array($0.map { .string($0) }) } ?? .null)
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
        strayQueues = try reader.optional("strayQueues")
        vnetHeaderSize = try reader.optional("vnetHeaderSize")
        offloads = try reader.optional("offloads")
        drift = try reader.list("drift")
        lastError = try reader.optional("lastError")
        conditions = try reader.list("conditions")
    }
}

extension OperationalState {
    /// Its name in the API.
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
