/// Counters of an interface since its creation (`IFLA_STATS64`), from the host's side as in `ip -s link`: packets that
/// a consumer writes to its queue are received.
public struct LinkStatistics: Hashable, Sendable {
    /// Counters of one direction.
    public struct Direction: Hashable, Sendable {
        /// Octets of all packets.
        public var bytes: UInt64
        /// Packets received or transmitted without error.
        public var packets: UInt64
        /// Packets with errors.
        public var errors: UInt64
        /// Packets that the kernel discarded, such as those for a full queue.
        public var dropped: UInt64

        public init(bytes: UInt64 = 0, packets: UInt64 = 0, errors: UInt64 = 0, dropped: UInt64 = 0) {
            self.bytes = bytes
            self.packets = packets
            self.errors = errors
            self.dropped = dropped
        }
    }

    /// From consumers to the host.
    public var received = Direction()
    /// From the host to consumers.
    public var transmitted = Direction()

    public init() {}
}

/// Reads the interface counters of a network namespace, from any thread.
public protocol LinkStatisticsSource: Sendable {
    /// The boot and the namespace to which the indexes belong.
    var host: NamespaceIdentity { get }

    /// The counters of every interface.
    ///
    /// - Throws: `KernelError` if the kernel refuses the request.
    func read() throws(KernelError) -> [LinkIndex: LinkStatistics]
}
