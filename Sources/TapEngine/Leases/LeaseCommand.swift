package import TapCore
package import TapSystem

/// A command about leases for the worker.
package enum LeaseCommand: Sendable {
    /// Opens queues, and answers the client.
    case grant(LeaseRequest, LeaseReply)
    /// Sends the queues to a client that has been answered with 101. The descriptor is its socket; `nil` if it has
    /// disconnected.
    case handOver(LeaseIdentifier, of: DeviceName, vnetHeaderSize: Int?, OwnedDescriptor?)
    /// Ends a lease. The reply is the device whose queues it had.
    case revoke(LeaseIdentifier, Revocation, reply: RevocationReply)
    /// Attaches or detaches a leased queue, after the change, which had `force`, is committed. The reply is `nil` on
    /// success, and if the queue is not leased.
    case setQueue(DeviceName, Int, isEnabled: Bool, reply: @Sendable (Refusal?) -> Void)

    /// Whether the command completes an earlier one and must therefore always be accepted: if a `handOver` were
    /// rejected, its lease would never end. There are at most as many of these as accepted `grant` commands.
    var isAlwaysAccepted: Bool {
        if case .handOver = self { true } else { false }
    }

    /// Answers with `Refusal.stopping`, since the worker has ended, and all leases with it.
    func refuse() {
        switch self {
        case .grant(_, let reply): reply.refuse(.stopping)
        case .handOver: break
        case .revoke(_, _, let reply): reply(.failure(.stopping))
        case .setQueue(_, _, _, let reply): reply(.stopping)
        }
    }
}

/// The answer to a revocation: the device whose queues were leased, or why the lease was not revoked.
package typealias RevocationReply = @Sendable (Result<DeviceName, Refusal>) -> Void

/// How to revoke a lease.
package struct Revocation: Hashable, Sendable {
    /// Whether to make the device's interface anew, since only that takes from a process what it holds.
    package let recreate: Bool
    /// Whether to end other leases of the device too, as a new interface does.
    package let force: Bool

    package init(recreate: Bool = false, force: Bool = false) {
        self.recreate = recreate
        self.force = force
    }
}

/// The two ways to answer a lease request; exactly one is called, once.
package struct LeaseReply: Sendable {
    /// Refuses the request.
    let refuse: @Sendable (Refusal) -> Void
    /// Accepts the request: answers 101, then calls back with the connected socket, or with `nil` if the client has
    /// disconnected before the answer.
    let accept: @Sendable (_ handOver: @escaping @Sendable (OwnedDescriptor?) -> Void) -> Void

    package init(
        refuse: @escaping @Sendable (Refusal) -> Void,
        accept: @escaping @Sendable (_ handOver: @escaping @Sendable (OwnedDescriptor?) -> Void) -> Void
    ) {
        self.refuse = refuse
        self.accept = accept
    }
}
