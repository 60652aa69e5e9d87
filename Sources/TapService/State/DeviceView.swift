internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// A device as readers see it: one version of what is wanted beside one version of what is the case.
final class DeviceView: Sendable {
    let record: DeviceRecord
    let status: DeviceStatus
    /// Whose hands its queues are in.
    let leases: [LeaseView]
    /// When the first lease came, or the last one went.
    let leasesChanged: Timestamp?
    /// The revision in which it came into being; zero when that was before the daemon's start.
    let addedIn: Int
    /// Rendered by the first reader; most versions are replaced before anybody reads them.
    private let rendered = Mutex<HTTPBody?>(nil)

    init(
        record: DeviceRecord, status: DeviceStatus = DeviceStatus(), leases: [LeaseView] = [],
        leasesChanged: Timestamp? = nil, addedIn revision: Int = 0
    ) {
        self.record = record
        self.status = status
        self.leases = leases
        self.leasesChanged = leasesChanged
        addedIn = revision
        entityTag = "\"\(record.revision)\""
    }

    /// The device's JSON document.
    var body: HTTPBody {
        rendered.withLock { body in
            if let body { return body }
            let fresh = HTTPBody(document.bytes)
            body = fresh
            return fresh
        }
    }

    /// Another version of it.
    func with(
        record: DeviceRecord? = nil, status: DeviceStatus? = nil, leases: [LeaseView]? = nil
    ) -> DeviceView {
        let leases = leases ?? self.leases
        return DeviceView(
            record: record ?? self.record, status: status ?? self.status, leases: leases,
            leasesChanged: leases.isEmpty == self.leases.isEmpty ? leasesChanged : .now(), addedIn: addedIn)
    }

    /// Whether its document says the same as that of another version.
    func showsSame(as other: DeviceView) -> Bool {
        record.revision == other.record.revision && record.identifier == other.record.identifier
            && status == other.status && leases == other.leases
    }

    /// The version of the statement as HTTP quotes it.
    let entityTag: String

    var phase: DevicePhase {
        status.phase(generation: record.generation, isDeletionRequested: record.deletionRequestedAt != nil)
    }
}

extension DeviceView {
    private var document: JSONValue {
        ["metadata": record.metadataDocument, "spec": record.spec.document, "status": statusDocument]
    }

    private var statusDocument: JSONValue {
        let link = status.link
        return [
            "observedGeneration": .integer(status.observedGeneration),
            "phase": .string(phase.rawValue),
            "ifindex": JSONValue(link.map { Int($0.index.rawValue) }),
            "macAddress": JSONValue(link?.macAddress?.description),
            "mtu": JSONValue(link?.mtu),
            "operationalState": JSONValue(link.map { "\($0.operationalState)" }),
            "carrier": link.map { .bool($0.carrier) } ?? .null,
            "attachedQueues": JSONValue(link?.tun?.attachedQueues),
            "detachedQueues": JSONValue(link?.tun?.detachedQueues),
            "drift": .array(status.drift.map(\.document)),
            "lastError": JSONValue(status.lastError),
            "conditions": .array((status.conditions + [leasedCondition]).map(\.document)),
        ]
    }
}

extension DeviceRecord {
    /// What the API shows as `metadata`.
    var metadataDocument: JSONValue {
        [
            "name": .string(name.text),
            "uid": .string(identifier.text),
            "labels": labels.document,
            "generation": .integer(generation),
            "resourceVersion": .string(String(revision)),
            "createdAt": .string(createdAt.text),
            "updatedAt": .string(updatedAt.text),
            "deletionRequestedAt": JSONValue(deletionRequestedAt?.text),
        ]
    }
}

extension Drift {
    var document: JSONValue {
        [
            "field": .string(difference.field.rawValue), "wanted": difference.wanted.document,
            "observed": difference.observed.document, "since": .string(since.text),
        ]
    }
}

extension Condition {
    fileprivate var document: JSONValue {
        [
            "type": .string(kind.rawValue), "status": .string(holds ? "True" : "False"), "reason": .string(reason),
            "message": .string(message), "lastTransitionTime": .string(lastTransition.text),
        ]
    }
}

extension Difference.Value {
    var document: JSONValue {
        switch self {
        case .nothing: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .text(let value): .string(value)
        case .words(let value): .array(value.map { .string($0) })
        }
    }
}
