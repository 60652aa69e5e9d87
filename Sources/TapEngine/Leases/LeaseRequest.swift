package import TapCore
internal import TapStore
package import TapSystem

/// A client's request for queues of a device.
package struct LeaseRequest: Sendable {
    /// The device whose queues are requested.
    package let device: DeviceName
    /// The consumer whose assigned queues are requested; `nil` for unassigned queues.
    package let consumer: ConsumerName?
    /// The requested queue indexes; `nil` for every free queue that is assigned to the consumer or, without a consumer,
    /// to none.
    package let queues: [Int]?
    /// Whether to lease beside queues of other processes that get packets too.
    package let force: Bool
    /// The client process's credentials (`SO_PEERCRED`, unix(7)).
    package let peer: PeerCredentials
    /// The client's user name and the name of its process; each `nil` if it has none or it could not be read.
    package let userName: String?
    package let command: String?
    /// Whether the client's role permits leases of every device.
    package let isAllowedByRole: Bool
    /// Whether the client may see which devices exist.
    package let mayView: Bool

    package init(
        device: DeviceName, consumer: ConsumerName?, queues: [Int]?, force: Bool, peer: PeerCredentials,
        userName: String?,
        command: String?, isAllowedByRole: Bool, mayView: Bool
    ) {
        self.device = device
        self.consumer = consumer
        self.queues = queues
        self.force = force
        self.peer = peer
        self.userName = userName
        self.command = command
        self.isAllowedByRole = isAllowedByRole
        self.mayView = mayView
    }

    /// Checks that the client may lease: its role permits it, or it is the device's owner or a member of its group.
    ///
    /// - Throws: `Refusal.leaseForbidden`.
    func authorize(_ spec: DeviceSpec, accounts: some Accounts) throws(Refusal) {
        if isAllowedByRole { return }
        if let owner = spec.owner, accounts.userNumber(owner) == peer.user { return }
        if let group = spec.group, let number = accounts.groupNumber(group), peer.isMember(of: number) { return }
        throw .leaseForbidden(device, user: peer.user)
    }

    /// Selects the queues to lease.
    ///
    /// - Returns: Queue indexes in ascending order, at least one.
    /// - Throws: `Refusal` if a queue does not exist, is assigned to another consumer, is leased already or disabled,
    ///   or none is free.
    func select(in view: DeviceView) throws(Refusal) -> [Int] {
        let record = view.record
        guard let queues else {
            let theirs = record.queues.filter { record.assignments[$0]?.consumer == consumer }
            let unleased = theirs.filter { view.lease(of: $0) == nil }
            // A consumer takes each queue that it gets for attached.
            let free = unleased.filter { !record.disabledQueues.contains($0) }
            guard !free.isEmpty else {
                if let queue = unleased.first { throw .queueDisabled(device, queue: queue) }
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
            if record.disabledQueues.contains(queue) { throw .queueDisabled(device, queue: queue) }
        }
        return queues.sorted()
    }
}

extension LeaseRecord {
    /// Creates the record of a new lease.
    init(_ request: LeaseRequest, of identifier: DeviceIdentifier, at place: LeasePlace, since: Timestamp) {
        self.init(
            id: .random(), device: request.device, identifier: identifier.text, place: place,
            consumer: request.consumer, process: request.peer.process, user: request.peer.user,
            group: request.peer.group, userName: request.userName, command: request.command, since: since)
    }
}
