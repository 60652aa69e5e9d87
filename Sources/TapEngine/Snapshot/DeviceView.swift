internal import Synchronization
package import TapCore
package import TapDocument
package import TapSystem
package import TapStore

/// A device as readers see it: one version of what is wanted beside one version of what is the case.
package final class DeviceView: Sendable {
    package let record: DeviceRecord
    package let status: DeviceStatus
    /// Whose hands its queues are in.
    package let leases: [LeaseView]
    /// When the first lease came, or the last one went.
    package let leasesChanged: Timestamp?
    /// The revision in which it came into being; zero when that was before the daemon's start.
    package let addedIn: Int
    /// Whether it may have had other labels before.
    package let wasRelabelled: Bool
    /// Rendered by the first reader; most versions are replaced before anybody reads them.
    private let rendered = Mutex<SharedBytes?>(nil)

    package init(
        record: DeviceRecord, status: DeviceStatus = DeviceStatus(), leases: [LeaseView] = [],
        leasesChanged: Timestamp? = nil, addedIn revision: Int = 0, wasRelabelled: Bool = false
    ) {
        self.record = record
        self.status = status
        self.leases = leases
        self.leasesChanged = leasesChanged
        addedIn = revision
        self.wasRelabelled = wasRelabelled
        entityTag = "\"\(record.revision)\""
    }

    /// The device's JSON document.
    package var body: SharedBytes {
        rendered.withLock { body in
            if let body { return body }
            let fresh = SharedBytes(JSONWriter.object(tell))
            body = fresh
            return fresh
        }
    }

    /// Another version of it.
    package func with(
        record: DeviceRecord? = nil, status: DeviceStatus? = nil, leases: [LeaseView]? = nil
    ) -> DeviceView {
        let leases = leases ?? self.leases
        return DeviceView(
            record: record ?? self.record, status: status ?? self.status, leases: leases,
            leasesChanged: leases.isEmpty == self.leases.isEmpty ? leasesChanged : .now(), addedIn: addedIn,
            wasRelabelled: wasRelabelled || record.map { $0.labels != self.record.labels } ?? false)
    }

    /// Whether its document says the same as that of another version.
    package func showsSame(as other: DeviceView) -> Bool {
        record.revision == other.record.revision && record.identifier == other.record.identifier
            && status == other.status && leases == other.leases
    }

    /// The version of the wanted state, in quotes (an ETag, RFC 9110, section 8.8.3).
    package let entityTag: String

    package var phase: DevicePhase {
        status.phase(generation: record.generation, isDeletionRequested: record.deletionRequestedAt != nil)
    }
}

// MARK: As a document

extension DeviceView {
    private func tell(_ json: inout JSONWriter) {
        json.object("metadata") { record.tellMetadata(&$0) }
        json.object("spec") { record.spec.tell(&$0) }
        json.object("status") { tellStatus(&$0) }
    }

    private func tellStatus(_ json: inout JSONWriter) {
        let link = status.link
        json.member("observedGeneration", status.observedGeneration)
        json.member("phase", phase.rawValue)
        json.member("ifindex", link.map { Int($0.index.rawValue) })
        json.member("macAddress", link?.macAddress?.description)
        json.member("mtu", link?.mtu)
        json.member("operationalState", link.map { "\($0.operationalState)" })
        json.member("carrier", link.map { .bool($0.carrier) } ?? .null)
        json.member("attachedQueues", link?.tun?.attachedQueues)
        json.member("detachedQueues", link?.tun?.detachedQueues)
        json.member("drift", .array(status.drift.map(\.document)))
        json.member("lastError", status.lastError)
        json.objects("conditions", status.conditions + [leasedCondition]) { $1.tell(&$0) }
    }
}

extension DeviceRecord {
    /// What the API shows as `metadata`.
    fileprivate func tellMetadata(_ json: inout JSONWriter) {
        json.member("name", name.text)
        json.member("uid", identifier.text)
        json.object("labels") { labels.tell(&$0) }
        json.member("generation", generation)
        json.member("resourceVersion", String(revision))
        json.member("createdAt", createdAt.text)
        json.member("updatedAt", updatedAt.text)
        json.member("deletionRequestedAt", deletionRequestedAt?.text)
    }
}

extension Drift {
    package var document: JSONValue {
        [
            "field": .string(difference.field.rawValue), "wanted": difference.wanted.document,
            "observed": difference.observed.document, "since": .string(since.text),
        ]
    }
}

extension Condition {
    fileprivate func tell(_ json: inout JSONWriter) {
        json.member("type", kind.rawValue)
        json.member("status", holds ? "True" : "False")
        json.member("reason", reason)
        json.member("message", message)
        json.member("lastTransitionTime", lastTransition.text)
    }
}

extension Difference.Value {
    package var document: JSONValue {
        switch self {
        case .nothing, .unsupported: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .text(let value): .string(value)
        case .words(let value): .array(value.map { .string($0) })
        }
    }
}
