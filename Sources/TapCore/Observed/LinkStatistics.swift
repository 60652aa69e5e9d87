/// What went through an interface since it was made, from the host's side as `ip -s link` shows it: what a consumer
/// writes into its queue is received.
public struct LinkStatistics: Hashable, Sendable {
    public struct Direction: Hashable, Sendable {
        public var bytes: UInt64
        public var packets: UInt64
        public var errors: UInt64
        public var dropped: UInt64

        public init(bytes: UInt64 = 0, packets: UInt64 = 0, errors: UInt64 = 0, dropped: UInt64 = 0) {
            self.bytes = bytes
            self.packets = packets
            self.errors = errors
            self.dropped = dropped
        }
    }

    public var received = Direction()
    public var transmitted = Direction()

    public init() {}
}

/// Reads the counters of a network namespace. Whoever reads may be another thread than the namespace's own.
public protocol LinkStatisticsSource: Sendable {
    var host: HostIdentity { get }

    /// Of every interface.
    ///
    /// - Throws: `KernelError` when the kernel does not tell.
    func read() throws(KernelError) -> [LinkIndex: LinkStatistics]
}
