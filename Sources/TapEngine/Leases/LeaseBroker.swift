internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapSystem

/// Grants and ends leases, and tracks their queues. Used on the worker's thread only, since it uses the kernel.
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
    /// Interfaces that are to be made anew, since a lease was revoked.
    var replacements: [DeviceName: Replacement] = [:]
    /// Devices whose last lease has ended, until the worker has taken note of it.
    private var vacated: Set<DeviceName> = []
    /// The events of leases, for the worker.
    var history = LeaseHistory()
    /// When the service manager was last asked to close its copies of a device's queues.
    private var copiesClosedAt: [DeviceName: ContinuousClock.Instant] = [:]
    /// The longest time that the service manager needs to close its copies.
    private static let copyCloseMillisecondsMax = 50
    /// How many versions of a device are tried for a lease before it is refused, while writes keep changing it.
    private static let versionsMax = 8
    /// Queues a command for a later turn; false if too many wait.
    private let postpone: @Sendable (LeaseCommand) -> Bool
    private let accounts: any Accounts
    private let survey: HolderSurvey

    init(
        kernel: any Kernel, namespaces: NamespaceStates, snapshots: SnapshotStore, accounts: any Accounts,
        survey: HolderSurvey, metrics: EngineMetrics, log: Logger, postpone: @escaping @Sendable (LeaseCommand) -> Bool
    ) {
        self.kernel = kernel
        self.namespaces = namespaces
        self.snapshots = snapshots
        self.postpone = postpone
        self.accounts = accounts
        self.survey = survey
        self.metrics = metrics
        self.log = log
        journal = LeaseJournal(kernel.memory)
    }

    // MARK: Grant

    func perform(_ command: LeaseCommand) {
        switch command {
        case .grant(let request, let reply): grant(request, reply)
        case .handOver(let id, let device, let size, let socket): handOver(id, of: device, size, socket)
        case .revoke(let id, let revocation, let reply): revoke(id, revocation, reply)
        case .setQueue(let name, let index, let isEnabled, let reply):
            do throws(Refusal) {
                try setQueue(name, index, isEnabled: isEnabled)
                reply(nil)
            } catch {
                reply(error)
            }
        }
    }

    /// Opens the queues and accepts the request. They are sent to the client after status 101; if it has disconnected
    /// by then, they are closed again.
    ///
    /// - Parameters:
    ///   - request: The queues that are requested, and the client's credentials.
    ///   - reply: Called once.
    private func grant(_ request: LeaseRequest, _ reply: LeaseReply) {
        let opened: (id: LeaseIdentifier, vnetHeaderSize: Int?)
        do throws(Refusal) { opened = try open(request) } catch {
            if case .kernelRefused(let refusal) = error {
                // Retried in a later turn, so that other commands are not held up.
                if isAboutToBeFree(request.device, refusal) {
                    if !postpone(.grant(request, reply)) { reply.refuse(.tooManyLeases) }
                    return
                }
                metrics.countRefusal(refusal)
            }
            metrics.leaseHandoffs.increment(["refused"])
            return refuse(error, reply)
        }
        copiesClosedAt[request.device] = nil
        reply.accept { [postpone] socket in
            // The result is always true: the inbox accepts each hand-over (`isAlwaysAccepted`).
            _ = postpone(
                .handOver(opened.id, of: request.device, vnetHeaderSize: opened.vnetHeaderSize, socket))
        }
    }

    /// Refuses a request. The text about stray queues names their holders, so it waits for a search for them.
    private func refuse(_ refusal: Refusal, _ reply: LeaseReply) {
        guard case .strayQueues(let name, let spec, let strays) = refusal, let view = snapshots.current.devices[name]
        else { return reply.refuse(refusal) }
        readBack(name)
        survey.find(name) { found in
            let holders = view.strangers(among: found)
            reply.refuse(
                .strayQueues(
                    name, spec,
                    StrayQueues(attached: strays.attached, detached: strays.detached, holders: holders)))
        }
    }

    /// Whether the kernel's refusal is due to copies that the service manager closes shortly after Tapster's own.
    /// Until then a device's only queue is busy, and copies count towards the 256 queues of a multiqueue device.
    private func isAboutToBeFree(_ name: DeviceName, _ refusal: KernelError) -> Bool {
        guard refusal.isTaken, let time = copiesClosedAt[name] else { return false }
        return time.duration(to: .now) < .milliseconds(Self.copyCloseMillisecondsMax)
    }

    private func open(_ request: LeaseRequest) throws(Refusal) -> (LeaseIdentifier, Int?) {
        // Each round checks the newest version of the device, which only the writer's thread may replace meanwhile.
        for _ in 0..<Self.versionsMax {
            if let opened = try openInCurrentVersion(request) { return opened }
        }
        throw .deviceNotReady(request.device, "it is being changed")
    }

    /// - Returns: `nil` if the device has been changed since its version was read.
    private func openInCurrentVersion(_ request: LeaseRequest) throws(Refusal) -> (LeaseIdentifier, Int?)? {
        guard let view = snapshots.current.devices[request.device] else {
            // A client that may not see devices does not learn which names exist.
            guard request.mayView else { throw .leaseForbidden(request.device, user: request.peer.user) }
            throw .deviceNotFound(request.device.text)
        }
        let record = view.record
        try request.authorize(record.spec, accounts: accounts)
        guard record.deletionRequestedAt == nil else { throw .deviceDeleting(record.name) }
        guard record.spec.access == .brokered else { throw .notBrokered(record.name) }
        guard !record.recreate, replacements[record.name] == nil else {
            throw .deviceNotReady(record.name, "it is being recreated")
        }
        guard let place = LeasePlace(record.claim), let namespace = namespace(of: record),
            namespace.observed[place.index] != nil
        else {
            throw .deviceNotReady(record.name, view.status[.ready]?.message)
        }
        let queues = try request.select(in: view)
        if !request.force { try refuseBesideStrayQueues(of: record, at: namespace, place.index) }
        let lease = Lease(LeaseRecord(request, of: record.identifier, at: place, since: .now()), of: queues)
        // From here on the device cannot be deleted without force, and these queues cannot be leased again.
        switch snapshots.reserve(LeaseView(lease.record, reserving: queues), in: view) {
        case .reserved: break
        case .closed: throw .deviceNotReady(record.name, "it is being changed")
        case .changed: return nil
        }
        do throws(KernelError) {
            let vnetHeaderSize = try attach(queues, to: lease, of: record, at: namespace)
            // Published before the client receives the queues, so that it can then request their kernel indexes.
            publish(lease.device)
            return (lease.id, vnetHeaderSize)
        } catch {
            release(lease)
            // If no lease is left, the next lease sets up the device again.
            publish(lease.device)
            throw .kernelRefused(error)
        }
    }

    /// Opens the queues for a lease.
    ///
    /// - Returns: The size of the vnet header in bytes; `nil` if there is none.
    private func attach(
        _ queues: [Int], to lease: Lease, of record: DeviceRecord, at namespace: NamespaceState
    ) throws(KernelError) -> Int? {
        // Updates the order of the queues leased already, to which the kernel appends the new ones.
        for other in devices[lease.device]?.refreshAttachedQueues() ?? [] { finish(other, .lost) }
        // Device-wide settings are set for the first lease only, not while other consumers use the device.
        let isFirst = devices[lease.device] == nil
        let opened = try namespace.kernel.openQueues(
            of: lease.place.index,
            QueueOpening(record.spec, inode: record.claim?.inode, count: queues.count, setsDevice: isFirst))
        let device = addDevice(lease.device)
        device.add(lease)
        for (index, queue) in zip(queues, opened.queues) {
            lease.queues[index] = queue
            device.attach(index)
        }
        metrics.operations.increment(["open_queue"], by: UInt64(queues.count))
        if devices[lease.device]?.leases.isEmpty != false { vacated.insert(lease.device) }
        readBack(lease.device)
        return opened.vnetHeaderSize
    }

    /// Returns the device's entry, creating it if it has none.
    func addDevice(_ name: DeviceName) -> LeasedDevice {
        if let device = devices[name] { return device }
        let device = LeasedDevice(name)
        devices[name] = device
        return device
    }

    /// Sends the queues to the client whose request was accepted.
    private func handOver(
        _ id: LeaseIdentifier, of name: DeviceName, _ vnetHeaderSize: Int?, _ socket: OwnedDescriptor?
    ) {
        // The lease may have been revoked meanwhile; the socket is then closed with its last reference.
        guard let device = devices[name], let lease = device.lease(id) else { return }
        guard let socket else { return end(lease, .unclaimed) }
        do throws(KernelError) {
            let connection = try kernel.connection(owning: socket)
            lease.connection = connection
            connections[ObjectIdentifier(connection)] = lease
            // The next process detaches and closes queues that are kept but not in the journal.
            CrashPoint.reach(CrashPoint.leaseKeep)
            lease.keptQueues = lease.queues.count
            lease.isKept = remember { () throws(KernelError) in
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
        // Recorded only after everything is sent: a lease in the journal is complete.
        CrashPoint.reach(CrashPoint.leaseNote)
        let isNoted = remember { () throws(KernelError) in
            try journal.begin(LeaseJournal.Entry(lease), order: device.order.known)
        }
        lease.isKept = lease.isKept && isNoted
        CrashPoint.reach(CrashPoint.leaseNoted)
        metrics.leaseHandoffs.increment(["success"])
        log.debug("lease granted", metadata: lease.metadata)
        history.noteGrant(LeaseView(lease.record, reserving: lease.granted), at: .now)
        publish(name)
    }

    /// Runs `body`, which records lease state for the next process. If it fails, the lease goes on, but does not
    /// survive a restart of the daemon.
    ///
    /// - Returns: Whether it has succeeded.
    @discardableResult
    func remember(_ body: () throws(KernelError) -> Void) -> Bool {
        do throws(KernelError) {
            try body()
            return true
        } catch {
            metrics.countRefusal(error)
            log.warning("a lease will not survive a restart of the daemon", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// The open namespace that holds the claimed interface; `nil` if there is none.
    func namespace(of record: DeviceRecord) -> NamespaceState? {
        guard let claim = record.claim, let namespace = namespaces.all[claim.namespace],
            namespace.observed.host == claim.host
        else {
            return nil
        }
        return namespace
    }

    // MARK: End

    /// Ends the lease of a connection that the client has closed, itself or by the end of its process.
    func end(_ connection: any KernelConnection) {
        guard let lease = connections[ObjectIdentifier(connection)] else { return connection.close() }
        end(lease, .closed)
    }

    func end(_ lease: Lease, _ cause: LeaseEnd) {
        guard let device = devices[lease.device], device.leases.contains(where: { $0 === lease }) else { return }
        CrashPoint.reach(CrashPoint.leaseEnd)
        // If the last lease ends, the order of the queues does not matter.
        let lost = device.leases.count == 1 ? [] : device.refreshAttachedQueues()
        finish(lease, cause)
        for other in lost where other !== lease { finish(other, .lost) }
    }

    func finish(_ lease: Lease, _ cause: LeaseEnd) {
        noteEnd(of: lease, cause)
        // Recorded before anything is undone: a lease in the journal is complete. If the daemon ends here, the next
        // process finds descriptors without a lease, and closes them.
        remember { () throws(KernelError) in try journal.end(lease.id, of: lease.device) }
        // What could not be restored is not proven to be the device's.
        release(lease, restoresDevice: cause != .unrestored)
        if let device = devices[lease.device], !device.leases.isEmpty {
            remember { () throws(KernelError) in try journal.reorder(lease.device, device.order.known) }
        }
        readBack(lease.device)
        publish(lease.device)
    }

    /// The devices whose last lease has ended since the last call.
    func drainVacated() -> Set<DeviceName> {
        defer { vacated = [] }
        return vacated
    }

    /// Counts the end of a lease, and adds it to the history.
    private func noteEnd(of lease: Lease, _ cause: LeaseEnd) {
        metrics.leasesEnded.increment([cause.rawValue])
        log.debug("lease ended", metadata: lease.metadata.merging(["cause": "\(cause)"]) { $1 })
        history.noteEnd(LeaseView(lease.record, reserving: lease.granted), cause, at: .now)
    }

    /// Ends all leases of a device that is to be deleted or recreated.
    func endAll(of name: DeviceName, _ cause: LeaseEnd) {
        for lease in devices[name]?.leases ?? [] { end(lease, cause) }
    }

    /// Notes the leases that end with the daemon, since no supervisor keeps their descriptors.
    func stop() {
        guard kernel.memory == nil else { return }
        for lease in devices.values.flatMap(\.leases) { noteEnd(of: lease, .stopped) }
    }

    /// Detaches and closes the queues and the connection. Detached first, since other processes may hold copies; last
    /// queue first, so that the others stay in place.
    private func release(_ lease: Lease, restoresDevice: Bool = true) {
        // `nil` if opening the queues failed and the device has no other lease.
        let device = devices[lease.device]
        for index in lease.indexes(tailFirstIn: device?.order ?? QueueOrder()) {
            // Fails if the queue is detached already, is that of a single-queue device, or is gone with its interface.
            try? lease.queues[index]?.detach()
            device?.detach(index)
        }
        // Fails if the interface is gone. Without it, a consumer could have the interface removed with its last queue.
        if restoresDevice { try? lease.queues.values.first?.restoreAccess(to: kernel.daemonUser) }
        // A first lease resets the whole device. Those who stay keep the vnet header size, byte order and offloads,
        // which they have negotiated themselves.
        if restoresDevice, let device, device.leases.count > 1 {
            try? lease.queues.values.first?.clearFilters(
                sendBuffer: snapshots.current.devices[lease.device]?.record.spec.sendBuffer)
        }
        for queue in lease.queues.values { queue.close() }
        if let count = lease.keptQueues {
            kernel.forget(lease.keptName, queues: count)
            if kernel.memory != nil { copiesClosedAt[lease.device] = .now }
        }
        if let connection = lease.connection {
            connections[ObjectIdentifier(connection)] = nil
            connection.close()
        }
        device?.remove(lease)
        snapshots.release(lease.id, of: lease.device)
    }
}
