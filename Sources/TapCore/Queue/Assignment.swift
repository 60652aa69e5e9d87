/// To whom a queue belongs, whether he reads it just now or not.
public struct Assignment: Hashable, Sendable {
    public let consumer: ConsumerName
    /// The processors that shall take what arrives on the queue; sorted, each once. None: wherever it comes in.
    public let cpus: [Int]
    /// Since when it is this consumer's.
    public let assignedAt: Timestamp

    public init(consumer: ConsumerName, cpus: some Sequence<CPUNumber>, assignedAt: Timestamp) {
        self.consumer = consumer
        self.cpus = Set(cpus).sorted().map(\.value)
        self.assignedAt = assignedAt
    }
}

/// A processor, as the kernel numbers them. 8,192 are the most for which it can be built (`NR_CPUS` of x86).
public struct CPUNumber: BoundedInteger {
    public static let bounds = 0...8_191
    public static let quantity = "CPU number"
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
}
