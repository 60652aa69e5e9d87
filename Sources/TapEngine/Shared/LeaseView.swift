internal import TapCore
package import TapDocument
internal import TapStore

/// A lease as readers see it.
package struct LeaseView: LeaseRecordHolder, Hashable, Sendable {
    /// Where the kernel has a leased queue.
    package struct Queue: Hashable, Sendable {
        /// Whether the kernel steers packets to it.
        package var isAttached: Bool
        /// `nil` while it is detached, or when that cannot be known.
        package var kernelIndex: Int?
    }

    package let record: LeaseRecord
    /// By index.
    package var queues: [Int: Queue]

    package var indexes: [Int] { queues.keys.sorted() }

    /// For people: who holds it.
    package var holder: String {
        (record.consumer.map { "'\($0)', " } ?? "") + "pid \(record.process)"
            + (record.user == 0 ? "" : " of user \(record.user)") + ", since \(record.since.text)"
    }
}

extension LeaseView {
    /// A lease that is about to be: its queues are reserved, and not opened yet.
    init(_ record: LeaseRecord, reserving queues: [Int]) {
        self.init(
            record: record, queues: Dictionary(uniqueKeysWithValues: queues.map { ($0, Queue(isAttached: false)) }))
    }
}

extension LeaseDocument {
    package init(_ lease: LeaseView) {
        self.init(
            id: lease.id, device: lease.device, consumer: lease.consumer, queues: lease.indexes,
            process: lease.process, user: lease.user, group: lease.group, since: lease.since)
    }
}
