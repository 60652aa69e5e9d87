internal import Foundation
internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapSystem

/// The one thread that touches the kernel. Level-triggered: whatever wakes it, it looks at what is wanted and what is
/// there, and does what makes the second like the first.
final class Worker: BatchEnvironment, @unchecked Sendable {
    // Unchecked: everything mutable is used by the worker's thread alone; `start` hands it over.

    /// A full look happens this often, and up to a fifth earlier or later.
    static let resyncSeconds = 60.0
    /// How long after a failed look the next is made.
    static let blindMilliseconds = 250
    /// Devices that are made together: each holds a descriptor until their claims are committed, and a stop waits for
    /// one batch.
    static let batchDevicesMax = 512
    /// Devices that are deleted together, in one call of the kernel.
    static let deletionsMax = 1_024

    let kernel: any Kernel
    let store: Store
    let snapshots: SnapshotStore
    private let inbox: WorkerInbox
    let accounts: AccountCache
    let metrics: EngineMetrics
    private let log: Logger
    private let onReady: @Sendable () -> Void

    let namespaces: NamespaceStates
    private let leases: LeaseBroker
    private var retries: [DeviceName: Retry] = [:]
    private var budgets: [DeviceName: RepairBudget] = [:]
    /// Devices whose namespace is not there.
    private var waitingForNamespace: Set<DeviceName> = []
    private var nextResync = ContinuousClock.now
    /// Namespaces may have come or gone since the last pass.
    private var haveMountsChanged = false
    /// Whether the last look failed: what is remembered may be older than what was said since.
    private var isBlind = false
    private var history = History()
    private let ended = DispatchSemaphore(value: 0)

    private struct Retry {
        var backoff = Backoff()
        var due: ContinuousClock.Instant
    }

    init(
        kernel: any Kernel, store: Store, snapshots: SnapshotStore, inbox: WorkerInbox, accounts: any Accounts,
        metrics: EngineMetrics,
        log: Logger, onReady: @escaping @Sendable () -> Void
    ) {
        self.kernel = kernel
        self.store = store
        self.snapshots = snapshots
        self.inbox = inbox
        let accounts = AccountCache(accounts)
        self.accounts = accounts
        self.metrics = metrics
        self.log = log
        self.onReady = onReady
        namespaces = NamespaceStates(kernel, statistics: metrics.statistics)
        leases = LeaseBroker(
            kernel: kernel, namespaces: namespaces, snapshots: snapshots, accounts: accounts, metrics: metrics,
            log: log,
            postpone: { inbox.add($0) })
    }

    func start() throws(ThreadFailure) {
        try NamedThread.start("tapster-worker") { [self] in
            run()
            ended.signal()
        }
    }

    /// Ends after the current pass; the kernel stays as it is.
    func stop() {
        inbox.stop()
        ended.wait()
    }

    private func run() {
        while !inbox.isStopping {
            do throws(KernelError) {
                try listen(until: nextWake())
                try pass()
                snapshots.setWorkerFailure(nil)
            } catch {
                fail(error)
            }
            if snapshots.current.storeFailure != nil { history.expectRecovery() }
            if let due = history.due, due <= .now { writeHistory() }
        }
        for question in inbox.take().questions { question(nil) }
        inbox.end()
        if history.due != nil { writeHistory() }
    }

    /// Leases are served before all else, and between batches: the kernel steers packets to queues that nobody reads
    /// any more, or somebody waits for his.
    private func listen(until deadline: ContinuousClock.Instant) throws(KernelError) {
        let news = try kernel.wait(until: deadline)
        if news.haveMountsChanged { haveMountsChanged = true }
        for connection in news.ended { leases.end(connection) }
        guard leases.isRestored else { return }
        for command in inbox.takeCommands() { leases.perform(command) }
    }

    private func nextWake() -> ContinuousClock.Instant {
        guard inbox.isEmpty, !namespaces.all.values.contains(where: \.hasNews) else { return .now }
        let soonest = retries.values.map(\.due).reduce(nextResync, min)
        return history.due.map { min($0, soonest) } ?? soonest
    }

    /// The kernel cannot even be looked at: say so, and look again in full a little later.
    private func fail(_ error: KernelError) {
        if snapshots.current.workerFailure != error.description {
            log.error("the kernel cannot be observed", metadata: ["error": "\(error)"])
        }
        metrics.countRefusal(error)
        metrics.passes.increment(["error"])
        snapshots.setWorkerFailure(error.description)
        isBlind = true
        nextResync = .now + .milliseconds(Self.blindMilliseconds)
        Thread.sleep(forTimeInterval: 0.05)
    }

    // MARK: One pass

    private func pass() throws(KernelError) {
        let began = ContinuousClock.now
        accounts.forget()
        let work = inbox.take()
        if let wait = work.longestWait { metrics.queueWait.observe(wait) }
        // A device that somebody has changed is looked at as soon as anything can be.
        for name in work.names { retries[name] = nil }
        let isFull: Bool
        var hadWork: Bool
        do throws(KernelError) {
            try collectSignals()
            let wasOverrun = namespaces.all.values.contains { $0.pendingSignals.wasOverrun }
            if wasOverrun { metrics.overruns.increment([]) }
            isFull = wasOverrun || isBlind || nextResync <= began || !work.questions.isEmpty
            hadWork = isFull
            var names = try isFull ? resync(atFailed: work.retriesFailed) : refreshPending()
            for name in names { leases.look(at: name) }
            for name in work.names { if let view = snapshots.current.devices[name] { leases.follow(view.record) } }
            if haveMountsChanged, namespaces.closeStale() || !waitingForNamespace.isEmpty {
                names.formUnion(concernedByNamespaces())
            }
            haveMountsChanged = false
            names.formUnion(work.names)
            if !retries.isEmpty {
                for name in names { retries[name] = nil }
                names.formUnion(takeDueRetries(began))
            }
            if !names.isEmpty {
                hadWork = true
                try reconcile(names)
            }
        } catch {
            // Whoever waits for a look shall not wait for ever.
            for question in work.questions { question(nil) }
            throw error
        }
        guard hadWork else { return }
        metrics.passes.increment(["success"])
        metrics.passDuration.observe(began.duration(to: .now))
        metrics.lastSuccess.set(Date().timeIntervalSince1970)
        if isFull, !snapshots.current.isReady, !inbox.isStopping {
            snapshots.setReady()
            onReady()
        }
        for question in work.questions { question(self) }
    }

    private func collectSignals() throws(KernelError) {
        for (location, namespace) in namespaces.all {
            do throws(KernelError) {
                namespace.pendingSignals.merge(try namespace.kernel.signals())
                leases.noteFewestQueues(in: namespace)
            } catch {
                guard location != nil else { throw error }
                abandon(location, error)
            }
        }
    }

    /// A namespace in which nothing works is entered anew by the next device that is looked at.
    func abandon(_ location: NetworkNamespace?, _ error: KernelError) {
        log.warning(
            "a network namespace is left", metadata: ["namespace": "\(location?.text ?? "")", "error": "\(error)"])
        metrics.countRefusal(error)
        namespaces.close(location)
        nextResync = .now
    }

    private func resync(atFailed: Bool) throws(KernelError) -> Set<DeviceName> {
        let devices = snapshots.current.devices
        _ = namespaces.closeStale()
        var needed: Set<NetworkNamespace> = []
        for view in devices.values {
            if let namespace = view.record.spec.networkNamespace { needed.insert(namespace) }
            if let namespace = view.record.claim?.namespace { needed.insert(namespace) }
        }
        namespaces.closeAll(but: needed)
        _ = try ownSite()
        nextResync = .now + .seconds(Self.resyncSeconds * Double.random(in: 0.8...1.2))
        for (location, namespace) in namespaces.all {
            do throws(KernelError) {
                try namespace.resync()
            } catch {
                guard location != nil else { throw error }
                abandon(location, error)
            }
        }
        // Whoever cannot be entered is told so by the first device that is looked at.
        for location in needed { _ = try? namespaces.namespace(at: location) }
        // Before anything is decided: what is ours is for nobody to adopt.
        // Two locations may lead to one namespace.
        let places = Dictionary(grouping: namespaces.all.values, by: \.observed.host)
        for view in devices.values {
            guard let claim = view.record.claim, !claim.isLost else { continue }
            for namespace in places[claim.host] ?? [] { namespace.own(claim.index, view.record.name) }
        }
        leases.restore()
        isBlind = false
        waitingForNamespace.formIntersection(devices.keys)
        budgets = budgets.filter { $0.value.due(at: .now) != nil || devices[$0.key] != nil }
        // A device that failed keeps its own time; the others are all looked at.
        let all = Set(devices.keys)
        return atFailed || retries.isEmpty ? all : all.subtracting(retries.keys)
    }

    private func ownSite() throws(KernelError) -> NamespaceState {
        do throws(NamespaceFailure) {
            return try namespaces.namespace(at: nil)
        } catch {
            switch error {
            case .unusable(let error): throw error
            case .missing(let detail): throw KernelError("open_namespace", .noEntry, advice: detail)
            }
        }
    }

    private func refreshPending() throws(KernelError) -> Set<DeviceName> {
        let devices = snapshots.current.devices
        var concerned: Set<DeviceName> = []
        for (location, namespace) in namespaces.all where namespace.hasNews {
            do throws(KernelError) {
                concerned.formUnion(try namespace.refreshPending())
            } catch {
                guard location != nil else { throw error }
                abandon(location, error)
            }
        }
        return concerned.filter { devices[$0] != nil }
    }

    /// Devices that are wanted, or have been made, in another namespace than the daemon's.
    private func concernedByNamespaces() -> Set<DeviceName> {
        Set(
            snapshots.current.devices.values.lazy
                .filter { $0.record.spec.networkNamespace != nil || $0.record.claim?.namespace != nil }
                .map(\.record.name))
    }

    private func takeDueRetries(_ now: ContinuousClock.Instant) -> [DeviceName] {
        retries.filter { $0.value.due <= now }.map(\.key)
    }

    // MARK: Batches

    private func reconcile(_ names: Set<DeviceName>) throws(KernelError) {
        let devices = snapshots.current.devices
        for name in names where devices[name] == nil {
            retries[name] = nil
            budgets[name] = nil
            waitingForNamespace.remove(name)
        }
        let views = names.compactMap { devices[$0] }
        let deletions = views.filter { $0.record.deletionRequestedAt != nil }
        let others = views.filter { $0.record.deletionRequestedAt == nil }
        var left = views.count
        metrics.passDevices.set(Double(left))
        for chunk in deletions.chunked(Self.deletionsMax) + others.chunked(Self.batchDevicesMax)
        where !inbox.isStopping {
            metrics.passDevicesLeft.set(Double(left))
            // Whoever has deleted a leased device has said that its leases may end.
            for view in chunk where view.record.deletionRequestedAt != nil { leases.endAll(of: view.record.name) }
            let batch = Batch(chunk, in: self)
            try batch.run()
            conclude(batch.jobs)
            left -= chunk.count
            if left > 0 { try listen(until: .now) }
        }
        metrics.passDevicesLeft.set(0)
        log.debug("a pass is done", metadata: ["devices": "\(views.count)"])
    }

    func contestedFields(of name: DeviceName) -> Set<DeviceField> { budgets[name]?.contested(at: .now) ?? [] }

    func endLeases(of name: DeviceName) { leases.endAll(of: name) }

    /// Tells what became of the batch: the status in the snapshot, and events and settled generations for the history.
    private func conclude(_ jobs: [DeviceJob]) {
        var updates: [WorkerUpdate] = []
        var events: [EventRecord] = []
        let now = Timestamp.now()
        for job in jobs {
            schedule(job)
            if job.isClosed || job.isUneventful { continue }
            let report = JobReport(job, at: now)
            events += report.events
            note(report.repairs, of: job.view.record)
            if let update = report.update(of: job.view) { updates.append(update) }
        }
        if !updates.isEmpty { snapshots.publish(updates) }
        history.add(events, settled: updates.filter { $0.settledGeneration != nil })
        for event in events { log.log(event) }
    }

    private func note(_ repairs: [Difference], of record: DeviceRecord) {
        for difference in repairs {
            metrics.driftRepairs.increment([difference.field.rawValue])
            if record.spec.access == .open, difference.field.isSetByConsumers { continue }
            budgets[record.name, default: RepairBudget()].note(difference.field, at: .now)
        }
    }

    /// When to look at the device again, if nothing tells us to.
    private func schedule(_ job: DeviceJob) {
        let name = job.name
        if !waitingForNamespace.isEmpty { waitingForNamespace.remove(name) }
        switch job.outcome {
        case .failed: retryLater(name)
        case .namespaceUnavailable(.unusable(let error)):
            metrics.countRefusal(error)
            retryLater(name)
        case .blocked:
            // Among what is withheld may be a field that is contested, whatever else is in the way.
            if let due = budgets[name]?.due(at: .now) {
                retries[name] = Retry(due: due)
            } else if !retries.isEmpty {
                retries[name] = nil
            }
        case .namespaceUnavailable(.missing):
            waitingForNamespace.insert(name)
            retries[name] = nil
        case .closed:
            retries[name] = nil
            budgets[name] = nil
        case .open, .settled: if !retries.isEmpty { retries[name] = nil }
        }
    }

    private func retryLater(_ name: DeviceName) {
        var retry = retries[name] ?? Retry(due: .now)
        var generator = SystemRandomNumberGenerator()
        retry.due = .now + retry.backoff.next(using: &generator)
        retries[name] = retry
    }

    private func writeHistory() {
        let failure = snapshots.current.storeFailure
        do throws(StoreError) {
            // Without a failure that it knows of, it does not wait for the disk, and proves nothing.
            try history.write(to: store, recoveringFrom: failure) {
                if failure != nil { snapshots.setStoreFailure(nil) }
            }
        } catch {
            if failure != error.description {
                log.error("what happened cannot be recorded yet", metadata: ["error": "\(error)"])
            }
            snapshots.setStoreFailure(error.description)
        }
    }
}

extension WorkerUpdate {
    init(_ view: DeviceView, status: DeviceStatus? = nil, claim: Claim? = nil) {
        self.init(name: view.record.name, identifier: view.record.identifier, status: status, claim: claim)
    }
}

extension Array {
    package func chunked(_ size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
