internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// A lease as readers see it.
struct LeaseView: Hashable, Sendable {
    /// Where the kernel has a leased queue.
    struct Queue: Hashable, Sendable {
        /// Whether the kernel steers packets to it.
        var isAttached: Bool
        /// Nothing while it is detached, or when that cannot be known.
        var kernelIndex: Int?
    }

    let id: LeaseIdentifier
    let device: DeviceName
    /// Who has asked for the queues, by the name that assignments use.
    let consumer: ConsumerName?
    let process: Int32
    let user: UInt32
    let group: UInt32
    let since: Timestamp
    /// By index.
    var queues: [Int: Queue]

    var indexes: [Int] { queues.keys.sorted() }

    /// For people: who holds it.
    var holder: String {
        (consumer.map { "'\($0)', " } ?? "") + "pid \(process)" + (user == 0 ? "" : " of user \(user)")
            + ", since \(since.text)"
    }
}

extension LeaseDocument {
    init(_ lease: LeaseView) {
        self.init(
            id: lease.id, device: lease.device, consumer: lease.consumer, queues: lease.indexes,
            process: lease.process, user: lease.user, group: lease.group, since: lease.since)
    }
}

extension DeviceView {
    /// The lease of a queue.
    func lease(of queue: Int) -> LeaseView? { leases.first { $0.queues[queue] != nil } }

    /// The condition `Leased`.
    var leasedCondition: Condition {
        let isLeased = !leases.isEmpty
        return Condition(
            .leased, holds: isLeased, reason: isLeased ? "Leased" : "None",
            message: isLeased
                ? leases.map { "queues \($0.indexes.map(String.init).joined(separator: ", ")) by \($0.holder)" }
                    .joined(separator: "; ") : "no queue is handed out",
            since: leasesChanged ?? record.createdAt)
    }
}
