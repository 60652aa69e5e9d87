internal import TapCore
package import TapDocument
internal import TapStore

/// A lease as published in the snapshot.
package struct LeaseView: LeaseRecordHolder, Hashable, Sendable {
    /// The state of a leased queue in the kernel.
    package struct Queue: Hashable, Sendable {
        /// Whether the kernel steers packets to it.
        package var isAttached: Bool
        /// The queue's place in the kernel; `nil` while it is detached, or if it cannot be determined.
        package var kernelIndex: Int?
    }

    /// The lease's facts.
    package let record: LeaseRecord
    /// By queue index.
    package var queues: [Int: Queue]

    /// The indexes of the leased queues, ascending.
    package var indexes: [Int] { queues.keys.sorted() }

    /// Describes the holder in messages: consumer, process, user and start.
    package var holder: String { record.holder + ", since \(record.since.text)" }
}

extension LeaseView {
    /// A lease whose queues are reserved but not opened yet.
    init(_ record: LeaseRecord, reserving queues: [Int]) {
        self.init(
            record: record, queues: Dictionary(uniqueKeysWithValues: queues.map { ($0, Queue(isAttached: false)) }))
    }
}

extension LeaseRecord {
    /// Describes the holder in messages: consumer, process and user.
    var holder: String {
        (consumer.map { "'\($0)', " } ?? "") + "pid \(process)" + (command.map { " (\($0))" } ?? "")
            + (user == 0 ? "" : " of user \(user)" + (userName.map { " (\($0))" } ?? ""))
    }
}

extension LeaseDocument {
    package init(_ lease: LeaseView) {
        self.init(
            id: lease.id, device: lease.device, consumer: lease.consumer, queues: lease.indexes,
            process: lease.process, user: lease.user, group: lease.group, userName: lease.userName,
            command: lease.command, since: lease.since)
    }
}
