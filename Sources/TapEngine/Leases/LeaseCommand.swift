package import TapCore
package import TapSystem

/// What the worker is asked to do with leases.
package enum LeaseCommand: Sendable {
    case grant(LeaseRequest, LeaseReply)
    /// The client has been told that it gets the lease. Without a socket it has gone.
    case handOver(LeaseIdentifier, of: DeviceName, vnetHeaderSize: Int?, OwnedDescriptor?)
    /// Answered with the device whose queues the lease had.
    case revoke(LeaseIdentifier, reply: @Sendable (Result<DeviceName, Refusal>) -> Void)
    /// Has the kernel follow what was committed; answered with `nil` when it has, or has nothing to follow.
    case setQueue(DeviceName, Int, isEnabled: Bool, reply: @Sendable (Refusal?) -> Void)

    /// Whether it ends what an earlier command began, so that it is never turned away: a client that is not told that
    /// its lease came to nothing would hold it for ever. There are no more of these than commands that were taken
    /// before.
    var isOwed: Bool {
        if case .handOver = self { true } else { false }
    }

    /// Answers in place of the worker, which has ended, and the leases with it.
    package func refuse() {
        switch self {
        case .grant(_, let reply): reply.refuse(.stopping)
        case .handOver: break
        case .revoke(_, let reply): reply(.failure(.stopping))
        case .setQueue(_, _, _, let reply): reply(.stopping)
        }
    }
}

/// How a request for a lease is answered, once.
package struct LeaseReply: Sendable {
    package let refuse: @Sendable (Refusal) -> Void
    /// Tells the client that it gets the lease, and then calls back with the connected socket; with `nil` when the
    /// client went before it could be told.
    package let accept: @Sendable (_ handOver: @escaping @Sendable (OwnedDescriptor?) -> Void) -> Void

    package init(
        refuse: @escaping @Sendable (Refusal) -> Void,
        accept: @escaping @Sendable (_ handOver: @escaping @Sendable (OwnedDescriptor?) -> Void) -> Void
    ) {
        self.refuse = refuse
        self.accept = accept
    }
}
