/// The assignment of a queue to a consumer, whether the consumer has leased it or not.
public struct Assignment: Hashable, Sendable {
    /// The only consumer that may lease the queue.
    public let consumer: ConsumerName
    /// The CPUs that process packets from the queue (`rps_cpus`), sorted and unique. Empty: the CPU of the sender.
    public let cpus: [Int]
    /// The time of the assignment to this consumer.
    public let assignedAt: Timestamp

    public init(consumer: ConsumerName, cpus: some Sequence<CPUNumber>, assignedAt: Timestamp) {
        self.consumer = consumer
        self.cpus = Set(cpus).sorted().map(\.value)
        self.assignedAt = assignedAt
    }
}

/// The kernel's number of a CPU. The kernel can be built for at most 8,192 CPUs (`NR_CPUS` of x86).
public struct CPUNumber: BoundedInteger {
    /// Both ends included.
    public static let bounds = 0...8_191
    /// For error messages.
    public static let quantity = "CPU number"
    /// From zero.
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
}
