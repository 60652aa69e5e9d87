internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapSystem

/// Grants leases, keeps track of their queues, and ends them. Used on the worker's thread only, as all that touches the
/// kernel.
final class LeaseBroker {
    let kernel: any Kernel
    let namespaces: NamespaceStates
    let snapshots: SnapshotStore
    let metrics: EngineMetrics
    let log: Logger
    var devices: [DeviceName: LeasedDevice] = [:]
    var connections: [ObjectIdentifier: Lease] = [:]
    var journal: LeaseJournal
    var isRestored = false
    /// When copies of a device's queues were last to be closed by the service manager.
    private var ended: [DeviceName: ContinuousClock.Instant] = [:]
    /// It takes that long at most.
    private static let keptMillisecondsMax = 50
    /// Has a command carried out in a later turn; false when too many wait.
    private let postpone: @Sendable (LeaseCommand) -> Bool
    private let accounts: any Accounts

    init(
        kernel: any Kernel, namespaces: NamespaceStates, snapshots: SnapshotStore, accounts: any Accounts,
        metrics: EngineMetrics,
        log: Logger, postpone: @escaping @Sendable (LeaseCommand) -> Bool
    ) {
        self.kernel = kernel
        self.namespaces = namespaces
        self.snapshots = snapshots
        self.postpone = postpone
        self.accounts = accounts
        self.metrics = metrics
        self.log = log
        journal = LeaseJournal(kernel.memory)
    }

    // MARK: Hand over

    func perform(_ command: LeaseCommand) {
        switch command {
        case .grant(let request, let reply): grant(request, reply)
        case .handOver(let id, let device, let size, let socket): handOver(id, of: device, size, socket)
        case .revoke(let id, let reply):
            reply(revoke(id).map { .success($0) } ?? .failure(.leaseNotFound(id.text)))
        case .setQueue(let name, let index, let isEnabled, let reply):
            do throws(Refusal) {
                try setQueue(name, index, isEnabled: isEnabled)
                reply(nil)
            } catch {
                reply(error)
            }
        }
    }

    /// Opens the queues. They go to the client once 101 has been sent; where he is not there any more, they are closed
    /// again.
    ///
    /// - Parameters:
    ///   - request: What is asked for, and by whom.
    ///   - reply: Called once.
    private func grant(_ request: LeaseRequest, _ reply: LeaseReply) {
        let opened: (id: LeaseIdentifier, vnetHeaderSize: Int?)
        do throws(Refusal) { opened = try open(request) } catch {
            if case .kernelRefused(let refusal) = error {
                // Others have their turn in between.
                if isAboutToBeFree(request.device, refusal) {
                    if !postpone(.grant(request, reply)) { reply.refuse(.tooManyLeases) }
                    return
                }
                metrics.countRefusal(refusal)
            }
            metrics.leaseHandoffs.increment(["refused"])
            return reply.refuse(error)
        }
        ended[request.device] = nil
        reply.accept { [postpone] socket in
            // It is owed, so it is never turned away.
            _ = postpone(
                .handOver(opened.id, of: request.device, vnetHeaderSize: opened.vnetHeaderSize, socket))
        }
    }

    /// The service manager closes its copies of queues a moment after we have closed ours. Until then the only queue of
    /// a device is taken, and others count among the 256 that a device may have.
    private func isAboutToBeFree(_ name: DeviceName, _ refusal: KernelError) -> Bool {
        guard refusal.isTaken, let time = ended[name] else { return false }
        return time.duration(to: .now) < .milliseconds(Self.keptMillisecondsMax)
    }

    private func open(_ request: LeaseRequest) throws(Refusal) -> (LeaseIdentifier, Int?) {
        guard let view = snapshots.current.devices[request.device] else {
            // Who may see nothing is not told which names there are.
            guard request.mayView else { throw .leaseForbidden(request.device, user: request.peer.user) }
            throw .deviceNotFound(request.device.text)
        }
        let record = view.record
        try request.authorize(record.spec, accounts: accounts)
        guard record.deletionRequestedAt == nil else { throw .deviceDeleting(record.name) }
        guard record.spec.access == .brokered else { throw .notBrokered(record.name) }
        guard !record.recreate else { throw .deviceNotReady(record.name, "it is being made anew") }
        guard let place = LeasePlace(record.claim), let namespace = namespace(of: record),
            namespace.observed[place.index] != nil
        else {
            throw .deviceNotReady(record.name, view.status[.ready]?.message)
        }
        let queues = try request.select(in: view)
        let lease = Lease(LeaseRecord(request, of: record.identifier, at: place, since: .now()))
        // From here on nobody deletes the device without force, nor gets one of the queues.
        guard snapshots.reserve(LeaseView(lease.record, reserving: queues), in: view) else {
            throw .deviceNotReady(record.name, "it is being stated anew")
        }
        do throws(KernelError) {
            let vnetHeaderSize = try attach(queues, to: lease, of: record, at: namespace)
            // Whoever has got the queues shall see where they are.
            settle(lease.device)
            return (lease.id, vnetHeaderSize)
        } catch {
            takeBack(lease)
            // The next one is the first again, for whom the device is set right.
            settle(lease.device)
            throw .kernelRefused(error)
        }
    }

    /// Disabled ones come last, so that they leave the others in their places.
    ///
    /// - Returns: The size of the vnet header, if there is one.
    private func attach(
        _ queues: [Int], to lease: Lease, of record: DeviceRecord, at namespace: NamespaceState
    ) throws(KernelError) -> Int? {
        let disabled = queues.filter(record.disabledQueues.contains)
        let order = queues.filter { !record.disabledQueues.contains($0) } + disabled
        // Where the others are now, so that the new ones are known to come behind them.
        for other in devices[lease.device]?.notice() ?? [] { finish(other, .lost) }
        // What others use already is not set anew under their hands.
        let isFirst = devices[lease.device] == nil
        let opened = try namespace.kernel.openQueues(
            of: lease.place.index, QueueOpening(record.spec, count: order.count, setsDevice: isFirst))
        let device = addDevice(lease.device)
        device.add(lease)
        for (index, queue) in zip(order, opened.queues) {
            lease.queues[index] = queue
            device.attach(index)
        }
        for index in disabled.reversed() {
            try lease.queues[index]?.detach()
            device.detach(index)
        }
        metrics.operations.increment(["open_queue"], by: UInt64(order.count))
        return opened.vnetHeaderSize
    }

    /// The device as one of which queues are leased, which it shall be at once.
    func addDevice(_ name: DeviceName) -> LeasedDevice {
        if let device = devices[name] { return device }
        let device = LeasedDevice(name)
        devices[name] = device
        return device
    }

    /// Gives the queues to whoever has been told that he gets them.
    private func handOver(
        _ id: LeaseIdentifier, of name: DeviceName, _ vnetHeaderSize: Int?, _ socket: OwnedDescriptor?
    ) {
        // It may have been revoked meanwhile; the socket then closes with its last owner.
        guard let device = devices[name], let lease = device.lease(id) else { return }
        guard let socket else { return end(lease, .unclaimed) }
        do throws(KernelError) {
            let connection = try kernel.connection(owning: socket)
            lease.connection = connection
            connections[ObjectIdentifier(connection)] = lease
            // What is kept and not in the journal belongs to nothing: the next process detaches and closes it.
            CrashPoint.reach(CrashPoint.leaseKeep)
            lease.keptQueues = lease.queues.count
            remember { () throws(KernelError) in
                try kernel.keep(connection, lease.indexes.compactMap { lease.queues[$0] }, as: lease.keptName)
            }
            CrashPoint.reach(CrashPoint.leaseSend)
            let namespace = snapshots.current.devices[name]?.record.spec.networkNamespace
            for (line, queues) in lease.messages(vnetHeaderSize: vnetHeaderSize, networkNamespace: namespace) {
                try connection.send(line, with: queues)
            }
        } catch {
            metrics.countRefusal(error)
            return end(lease, .failed)
        }
        // Not before all is sent: a lease that is found again is a whole one.
        CrashPoint.reach(CrashPoint.leaseNote)
        remember { () throws(KernelError) in
            try journal.begin(LeaseJournal.Entry(lease), order: device.order.known)
        }
        CrashPoint.reach(CrashPoint.leaseNoted)
        metrics.leaseHandoffs.increment(["success"])
        log.debug("queues are leased", metadata: lease.metadata)
        settle(name)
    }

    /// A lease that cannot be remembered goes on all the same; only the next process will not know it.
    func remember(_ body: () throws(KernelError) -> Void) {
        do throws(KernelError) { try body() } catch {
            metrics.countRefusal(error)
            log.warning("a lease will not outlive the daemon", metadata: ["error": "\(error)"])
        }
    }

    func namespace(of record: DeviceRecord) -> NamespaceState? {
        guard let claim = record.claim, let namespace = namespaces.all[claim.namespace],
            namespace.observed.host == claim.host
        else {
            return nil
        }
        return namespace
    }

    // MARK: Take back

    /// Why a lease ends.
    enum End: String {
        /// The client went before it got anything.
        case unclaimed
        /// The queues could not be handed over.
        case failed
        /// The client closed its connection, or died.
        case closed
        case revoked
        /// The queues have gone with their interface.
        case lost
    }

    /// The client has closed its connection, or died.
    func end(_ connection: any KernelConnection) {
        guard let lease = connections[ObjectIdentifier(connection)] else { return connection.close() }
        end(lease, .closed)
    }

    func end(_ lease: Lease, _ reason: End) {
        guard let device = devices[lease.device], device.leases.contains(where: { $0 === lease }) else { return }
        CrashPoint.reach(CrashPoint.leaseEnd)
        // Where all queues go, it does not matter how they were.
        let lost = device.leases.count == 1 ? [] : device.notice()
        finish(lease, reason)
        for other in lost where other !== lease { finish(other, .lost) }
    }

    func finish(_ lease: Lease, _ reason: End) {
        // Before anything is undone: a lease that is found again is a whole one. What comes back of this one then
        // belongs to nothing, and the next process goes on with its end.
        remember { () throws(KernelError) in try journal.end(lease.id, of: lease.device) }
        takeBack(lease)
        if let device = devices[lease.device], !device.leases.isEmpty {
            remember { () throws(KernelError) in try journal.reorder(lease.device, device.order.known) }
        }
        metrics.leasesEnded.increment([reason.rawValue])
        log.debug("queues are free again", metadata: lease.metadata.merging(["reason": "\(reason)"]) { $1 })
        settle(lease.device)
    }

    /// All leases of a device that is to be deleted or made anew.
    func endAll(of name: DeviceName) {
        for lease in devices[name]?.leases ?? [] { end(lease, .revoked) }
    }

    /// Detached first, since others may have copies; from the tail, so that the rest stays in its place.
    private func takeBack(_ lease: Lease) {
        // None where its queues could not be opened.
        let device = devices[lease.device]
        for index in lease.indexes(tailFirstIn: device?.order ?? QueueOrder()) {
            // It fails for a queue that is detached, is the only one of its device, or has gone with it.
            try? lease.queues[index]?.detach()
            device?.detach(index)
        }
        for queue in lease.queues.values { queue.close() }
        if let count = lease.keptQueues {
            kernel.forget(lease.keptName, queues: count)
            if kernel.memory != nil { ended[lease.device] = .now }
        }
        if let connection = lease.connection {
            connections[ObjectIdentifier(connection)] = nil
            connection.close()
        }
        device?.remove(lease)
        snapshots.release(lease.id, of: lease.device)
    }
}
