package import TapCore
package import TapDocument
internal import TapStore

/// A lease as readers see it.
package struct LeaseView: Hashable, Sendable {
    /// Where the kernel has a leased queue.
    package struct Queue: Hashable, Sendable {
        /// Whether the kernel steers packets to it.
        package var isAttached: Bool
        /// Nothing while it is detached, or when that cannot be known.
        package var kernelIndex: Int?
    }

    package let id: LeaseIdentifier
    package let device: DeviceName
    /// Who has asked for the queues, by the name that assignments use.
    package let consumer: ConsumerName?
    package let process: Int32
    package let user: UInt32
    package let group: UInt32
    package let since: Timestamp
    /// By index.
    package var queues: [Int: Queue]

    package var indexes: [Int] { queues.keys.sorted() }

    package var document: JSONValue {
        [
            "id": .string(id.text), "device": .string(device.text), "consumer": JSONValue(consumer?.text),
            "queues": .array(indexes.map { .integer($0) }), "pid": .integer(Int(process)),
            "uid": .integer(Int(user)), "gid": .integer(Int(group)), "since": .string(since.text),
        ]
    }

    /// For people: who holds it.
    package var holder: String {
        (consumer.map { "'\($0)', " } ?? "") + "pid \(process)" + (user == 0 ? "" : " of user \(user)")
            + ", since \(since.text)"
    }
}

extension DeviceView {
    /// The lease of a queue.
    package func lease(of queue: Int) -> LeaseView? { leases.first { $0.queues[queue] != nil } }

    /// The condition `Leased`.
    package var leasedCondition: Condition {
        let isLeased = !leases.isEmpty
        return Condition(
            .leased, holds: isLeased, reason: isLeased ? "Leased" : "None",
            message: isLeased
                ? leases.map { "queues \($0.indexes.map(String.init).joined(separator: ", ")) by \($0.holder)" }
                    .joined(separator: "; ") : "no queue is handed out",
            since: leasesChanged ?? record.createdAt)
    }
}
