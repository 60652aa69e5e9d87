package import TapCore
internal import TapStore
package import TapSystem

/// Somebody asks for queues.
package struct LeaseRequest: Sendable {
    package let device: DeviceName
    package let consumer: ConsumerName?
    /// Nothing means: all free ones that are the consumer's or, without a consumer, nobody's.
    package let queues: [Int]?
    package let peer: PeerCredentials
    /// Whether the peer's role allows it, whosever the device is.
    package let isAllowedByRole: Bool
    /// Whether the peer may know which devices there are.
    package let mayView: Bool

    package init(
        device: DeviceName, consumer: ConsumerName?, queues: [Int]?, peer: PeerCredentials, isAllowedByRole: Bool,
        mayView: Bool
    ) {
        self.device = device
        self.consumer = consumer
        self.queues = queues
        self.peer = peer
        self.isAllowedByRole = isAllowedByRole
        self.mayView = mayView
    }

    /// Who may have a device's queues: whose role says so, and the device's owner and group.
    ///
    /// - Throws: `Refusal.leaseForbidden`.
    func authorize(_ spec: DeviceSpec, accounts: some Accounts) throws(Refusal) {
        if isAllowedByRole { return }
        if let owner = spec.owner, accounts.userNumber(owner) == peer.user { return }
        if let group = spec.group, let number = accounts.groupNumber(group), peer.isMember(of: number) { return }
        throw .leaseForbidden(device, user: peer.user)
    }

    /// The queues that the request comes to.
    ///
    /// - Returns: In order; never empty.
    /// - Throws: `Refusal` when one of them is not to be had.
    func select(in view: DeviceView) throws(Refusal) -> [Int] {
        let record = view.record
        guard let queues else {
            let theirs = record.queues.filter { record.assignments[$0]?.consumer == consumer }
            let free = theirs.filter { view.lease(of: $0) == nil }
            guard !free.isEmpty else {
                if let queue = theirs.first, let lease = view.lease(of: queue) {
                    throw .queueLeased(queue: queue, by: lease)
                }
                throw .noFreeQueue(device, consumer: consumer)
            }
            return free
        }
        for queue in queues {
            guard record.queues.contains(queue) else {
                throw .queueNotFound(device: device, index: String(queue), count: record.queues.count)
            }
            if let assignment = record.assignments[queue], assignment.consumer != consumer {
                throw .queueForbidden(device, queue: queue, assignment)
            }
            if let lease = view.lease(of: queue) { throw .queueLeased(queue: queue, by: lease) }
        }
        return queues.sorted()
    }
}

extension LeaseRecord {
    /// A new lease.
    init(_ request: LeaseRequest, of identifier: DeviceIdentifier, at place: LeasePlace, since: Timestamp) {
        self.init(
            id: .random(), device: request.device, identifier: identifier.text, place: place,
            consumer: request.consumer, process: request.peer.process, user: request.peer.user,
            group: request.peer.group, since: since)
    }
}
