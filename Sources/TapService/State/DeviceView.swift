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
    /// Whether it may have had other labels before.
    let wasRelabelled: Bool
    /// Rendered by the first reader; most versions are replaced before anybody reads them.
    private let rendered = Mutex<HTTPBody?>(nil)

    init(
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
    var body: HTTPBody {
        rendered.withLock { body in
            if let body { return body }
            let fresh = HTTPBody(DeviceDocument(self).bytes)
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
            leasesChanged: leases.isEmpty == self.leases.isEmpty ? leasesChanged : .now(), addedIn: addedIn,
            wasRelabelled: wasRelabelled || record.map { $0.labels != self.record.labels } ?? false)
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

extension DeviceDocument {
    init(_ view: DeviceView) {
        let record = view.record
        self.init(
            metadata: Metadata(
                name: record.name, identifier: record.identifier, labels: record.labels,
                generation: record.generation, resourceVersion: record.revision, createdAt: record.createdAt,
                updatedAt: record.updatedAt, deletionRequestedAt: record.deletionRequestedAt),
            spec: record.spec, status: Status(view.status, phase: view.phase, leased: view.leasedCondition))
    }
}
