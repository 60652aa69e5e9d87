package import TapCore
internal import TapDocument
package import TapSystem
package import TapStore

/// An immutable version of a device as published in the snapshot: its wanted state, status and leases.
package final class DeviceView: Sendable {
    /// The wanted state, as in the database.
    package let record: DeviceRecord
    /// The observed state, set by the worker.
    package let status: DeviceStatus
    /// The leases of its queues.
    package let leases: [LeaseView]
    /// When the device last changed between leased and not leased; `nil` if it never did since the daemon's start.
    let leasesChanged: Timestamp?
    /// The revision that created it; zero if that was before the daemon's start.
    let addedIn: Int
    /// Whether its labels may have changed since its creation.
    let wasRelabelled: Bool
    /// Rendered on first use, since most versions are replaced before they are read.
    private let rendered = LazyBytes()

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
        rendered.bytes { SharedBytes(DeviceDocument(self).bytes) }
    }

    /// A new version with some parts replaced.
    package func with(
        record: DeviceRecord? = nil, status: DeviceStatus? = nil, leases: [LeaseView]? = nil
    ) -> DeviceView {
        let leases = leases ?? self.leases
        return DeviceView(
            record: record ?? self.record, status: status ?? self.status, leases: leases,
            leasesChanged: leases.isEmpty == self.leases.isEmpty ? leasesChanged : .now(), addedIn: addedIn,
            wasRelabelled: wasRelabelled || record.map { $0.labels != self.record.labels } ?? false)
    }

    /// Whether its document equals that of another version.
    func hasSameDocument(as other: DeviceView) -> Bool {
        record.revision == other.record.revision && record.identifier == other.record.identifier
            && status == other.status && leases == other.leases
    }

    /// The version of the wanted state, in quotes (an ETag, RFC 9110, section 8.8.3).
    package let entityTag: String

    /// The phase that follows from the status, the generation and a requested deletion.
    package var phase: DevicePhase {
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

extension DeviceView {
    /// The lease of a queue; `nil` if it is not leased.
    package func lease(of queue: Int) -> LeaseView? { leases.first { $0.queues[queue] != nil } }

    /// The condition `Leased`.
    var leasedCondition: Condition {
        let isLeased = !leases.isEmpty
        return Condition(
            .leased, holds: isLeased, reason: isLeased ? "Leased" : "None",
            message: isLeased
                ? leases.map { "queues \($0.indexes.map(String.init).joined(separator: ", ")) by \($0.holder)" }
                    .joined(separator: "; ") : "no queue is leased",
            since: leasesChanged ?? record.createdAt)
    }
}
