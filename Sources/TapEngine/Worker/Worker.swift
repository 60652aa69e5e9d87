internal import Foundation
internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapSystem

/// Runs the only thread that reads the devices' state from the kernel and changes it. Level-triggered: on each wake-up
/// it compares the wanted state with the observed state, and makes the kernel match.
final class Worker: BatchEnvironment, @unchecked Sendable {
    // Unchecked: all mutable state is used by the worker's thread alone, after `start`.

    /// The interval of full reads of the kernel, varied by up to a fifth.
    static let resyncSeconds = 60.0
    /// The delay of the next full read after a failed read.
    static let failedReadRetryMilliseconds = 250
    /// The delay of the next full read while the daemon lacks a capability.
    static let missingAbilityRetrySeconds = 5.0
    /// The most devices in a batch. Each holds a descriptor until the batch's claims are committed, and a stop waits
    /// for the current batch.
    static let batchDevicesMax = 512
    /// The most devices that one call to the kernel deletes.
    static let deletionsMax = 1_024

    let kernel: any Kernel
    let store: Store
    let snapshots: SnapshotStore
    let inbox: WorkerInbox
    let accounts: AccountCache
    let metrics: EngineMetrics
    let log: Logger
    private let onReady: @Sendable () -> Void
    /// Has events written by another thread.
    private let record: @Sendable ([EventRecord]) -> Void

    let namespaces: NamespaceStates
    let leases: LeaseBroker
    let survey: HolderSurvey
    var retries: [DeviceName: Retry] = [:]
    var budgets: [DeviceName: RepairBudget] = [:]
    var duplicates = DuplicateRetries()
    /// Devices whose namespace does not exist.
    var waitingForNamespace: Set<DeviceName> = []
    var looks = RepeatedLooks()
    var strays = StrayWatch()
    private var nextResync = ContinuousClock.now
    private var surveys = SurveyBudget(.now)
    /// Whether namespaces may have been created or deleted since the last pass.
    private var haveMountsChanged = false
    /// Whether the last read of the kernel failed: the observed state may then be outdated.
    private var hasReadFailed = false
    var history = History()
    private let ended = DispatchSemaphore(value: 0)

    struct Retry {
        var backoff = Backoff()
        var due: ContinuousClock.Instant
    }

    init(
        kernel: any Kernel, store: Store, snapshots: SnapshotStore, inbox: WorkerInbox, accounts: any Accounts,
        survey: HolderSurvey, metrics: EngineMetrics, log: Logger, record: @escaping @Sendable ([EventRecord]) -> Void,
        onReady: @escaping @Sendable () -> Void
    ) {
        self.kernel = kernel
        self.store = store
        self.snapshots = snapshots
        self.inbox = inbox
        let accounts = AccountCache(accounts)
        self.accounts = accounts
        self.survey = survey
        self.metrics = metrics
        self.log = log
        self.record = record
        self.onReady = onReady
        namespaces = NamespaceStates(kernel, statistics: metrics.statistics)
        leases = LeaseBroker(
            kernel: kernel, namespaces: namespaces, snapshots: snapshots, accounts: accounts, survey: survey,
            metrics: metrics, log: log,
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
            recordLeaseEvents()
        }
        leases.stop()
        for question in inbox.drain().questions { question(nil) }
        inbox.end()
        leases.endReplacements()
        leases.tellOfLeasesAtStop()
        if history.due != nil { writeHistory() }
        recordLeaseEvents()
    }

    private func recordLeaseEvents() {
        let events = leases.history.drain(at: .now)
        for event in events { log.log(event) }
        // After a failure the writer would fail again, until a write of this thread has succeeded.
        if !events.isEmpty || snapshots.current.storeFailure == nil { record(events) }
    }

    /// Waits for events, and performs lease commands, which come before all other work and between batches: clients
    /// wait for them, and the kernel steers packets to the queues of an ended consumer until they are detached.
    func listen(until deadline: ContinuousClock.Instant) throws(KernelError) {
        let events = try kernel.wait(until: deadline)
        if events.haveMountsChanged { haveMountsChanged = true }
        for connection in events.ended { leases.end(connection) }
        guard leases.isRestored else { return }
        for command in inbox.drainCommands() { leases.perform(command) }
    }

    private func nextWake() -> ContinuousClock.Instant {
        guard inbox.isEmpty, !namespaces.all.values.contains(where: \.hasPendingChanges) else { return .now }
        let soonest = retries.values.map(\.due).reduce(nextResync, min)
        let survey = inbox.isLookRequested ? surveys.due : nil
        return [history.due, leases.history.due, looks.due, survey].compactMap(\.self).reduce(soonest, min)
    }

    /// Reports that the kernel cannot be read, and schedules a full read.
    private func fail(_ error: KernelError) {
        if snapshots.current.workerFailure != error.description {
            log.error("the kernel's state cannot be read", metadata: ["error": "\(error)"])
        }
        metrics.countRefusal(error)
        metrics.passes.increment(["error"])
        snapshots.setWorkerFailure(error.description)
        hasReadFailed = true
        nextResync = .now + .milliseconds(Self.failedReadRetryMilliseconds)
        Thread.sleep(forTimeInterval: 0.05)
    }

    // MARK: One pass

    private func pass() throws(KernelError) {
        let began = ContinuousClock.now
        accounts.forget()
        let work = inbox.drain(questions: surveys.due <= began || nextResync <= began || hasReadFailed)
        if let wait = work.longestWait { metrics.queueWait.observe(wait) }
        // A changed device is not held up by its backoff.
        for name in work.names { retries[name] = nil }
        let isFull: Bool
        let read: ContinuousClock.Instant
        var hadWork: Bool
        do throws(KernelError) {
            try collectSignals()
            for name in looks.begin(at: began) { leases.readBack(name) }
            // What a consumer kept changing is repaired at once when it has gone.
            for name in leases.drainVacated() { budgets[name] = nil }
            let wasOverrun = namespaces.all.values.contains { $0.pendingSignals.wasOverrun }
            if wasOverrun { metrics.overruns.increment([]) }
            isFull = wasOverrun || hasReadFailed || nextResync <= began || work.isLookRequested
            hadWork = isFull
            var names = try isFull ? resync(atFailed: work.retriesFailed) : refreshPending()
            read = .now
            for name in names { leases.look(at: name) }
            for name in work.names { if let view = snapshots.current.devices[name] { leases.follow(view.record) } }
            if haveMountsChanged, namespaces.closeStale() || !waitingForNamespace.isEmpty {
                names.formUnion(snapshots.current.devicesInOtherNamespaces)
            }
            haveMountsChanged = false
            names.formUnion(work.names)
            if !retries.isEmpty {
                for name in names { retries[name] = nil }
                names.formUnion(dueRetries(began))
            }
            if !names.isEmpty {
                hadWork = true
                try reconcile(names)
            }
            if isFull || snapshots.current.missingAbility != nil || !retries.isEmpty { checkAbilities() }
        } catch {
            // The questions must be answered even if the read fails.
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
        guard work.isLookRequested else { return }
        // The time for devices that were changed is not the questions'.
        let spent = began.duration(to: work.names.isEmpty ? .now : read)
        let answering = ContinuousClock.now
        try answer(work.questions)
        surveys.note(began, took: spent + answering.duration(to: .now))
    }

    private func collectSignals() throws(KernelError) {
        for (location, namespace) in namespaces.all {
            do throws(KernelError) {
                namespace.receive(try namespace.kernel.signals())
                leases.noteFewestQueues(in: namespace)
            } catch {
                guard location != nil else { throw error }
                abandon(location, error)
            }
        }
    }

    /// Closes a namespace whose operations fail. It is opened again for the next device that needs it.
    func abandon(_ location: NetworkNamespace?, _ error: KernelError) {
        log.warning(
            "a network namespace is closed", metadata: ["namespace": "\(location?.text ?? "")", "error": "\(error)"])
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
        _ = try namespaces.ownNamespace()
        nextResync = .now + .seconds(Self.resyncSeconds * Double.random(in: 0.8...1.2))
        for (location, namespace) in namespaces.all {
            do throws(KernelError) {
                try namespace.resync()
            } catch {
                guard location != nil else { throw error }
                abandon(location, error)
            }
        }
        // A failure is reported when a device in the namespace is reconciled.
        for location in needed { _ = try? namespaces.namespace(at: location) }
        checkClaims(of: devices.values)
        assignInterfaces()
        leases.restore()
        hasReadFailed = false
        waitingForNamespace.formIntersection(devices.keys)
        budgets = budgets.filter { devices[$0.key] != nil && !$0.value.isQuiet(at: .now) }
        // Failed devices wait for their own retry; all others are reconciled.
        let all = Set(devices.keys)
        return atFailed || retries.isEmpty ? all : all.subtracting(retries.keys)
    }

    private func refreshPending() throws(KernelError) -> Set<DeviceName> {
        let devices = snapshots.current.devices
        var affected: Set<DeviceName> = []
        for (location, namespace) in namespaces.all where namespace.hasPendingChanges {
            do throws(KernelError) {
                affected.formUnion(try namespace.refreshPending())
            } catch {
                guard location != nil else { throw error }
                abandon(location, error)
            }
        }
        return affected.filter { devices[$0] != nil }
    }

    /// Publishes what keeps the daemon from managing interfaces, and looks again soon while there is something.
    private func checkAbilities() {
        let missing: KernelError?
        do throws(KernelError) {
            missing = try namespaces.missingAbility()
        } catch {
            return metrics.countRefusal(error)
        }
        if missing != nil { nextResync = min(nextResync, .now + .seconds(Self.missingAbilityRetrySeconds)) }
        guard missing?.description != snapshots.current.missingAbility else { return }
        if let missing { log.error("interfaces cannot be managed", metadata: ["error": "\(missing)"]) }
        snapshots.setMissingAbility(missing?.description)
    }

    // MARK: Batches

    private func reconcile(_ names: Set<DeviceName>) throws(KernelError) {
        let devices = snapshots.current.devices
        for name in names where devices[name] == nil {
            looks.set(name, isNeeded: false)
            forgetStrayQueues(of: name)
            retries[name] = nil
            budgets[name] = nil
            duplicates.forget(name)
            waitingForNamespace.remove(name)
        }
        checkClaims(of: names.lazy.compactMap { devices[$0] })
        let current = snapshots.current.devices
        let views = names.compactMap { current[$0] }
        let deletions = views.filter { $0.record.deletionRequestedAt != nil }
        let others = views.filter { $0.record.deletionRequestedAt == nil }
        var left = views.count
        metrics.passDevices.set(Double(left))
        for chunk in deletions.chunked(Self.deletionsMax) + others.chunked(Self.batchDevicesMax)
        where !inbox.isStopping {
            metrics.passDevicesLeft.set(Double(left))
            // Deleting a leased device required `force`, so its leases may end.
            for view in chunk where view.record.deletionRequestedAt != nil {
                leases.endAll(of: view.record.name, .deleted)
            }
            let batch = Batch(chunk, in: self)
            try batch.run()
            conclude(batch.jobs)
            left -= chunk.count
            if left > 0 { try listen(until: .now) }
        }
        metrics.passDevicesLeft.set(0)
        log.debug("pass finished", metadata: ["devices": "\(views.count)"])
    }

    func contestedFields(of name: DeviceName, controller: LinkIndex?) -> Set<DeviceField> {
        budgets[name]?.contested(controller: controller, at: .now) ?? []
    }

    func retriesDuplicates(of view: DeviceView, at link: ObservedLink?) -> Bool { duplicates.isDue(view, link) }

    func endLeases(of name: DeviceName, _ cause: LeaseEnd) { leases.endAll(of: name, cause) }

    /// Publishes the results of a batch, and adds events and settled generations to the history.
    private func conclude(_ jobs: [DeviceJob]) {
        var updates: [WorkerUpdate] = []
        var events: [EventRecord] = []
        let now = Timestamp.now()
        for job in jobs {
            schedule(job)
            noteStrayQueues(of: job)
            concludeReplacement(of: job)
            if job.isClosed || job.isUneventful { continue }
            // Consumers may have attached or detached queues unnoticed while it was down, or during the batch.
            leases.look(at: job.name)
            let report = JobReport(job, at: now)
            events += report.events
            note(report.repairs, of: job)
            if let update = report.update(of: job.view) { updates.append(update) }
        }
        if !updates.isEmpty { snapshots.publish(updates) }
        history.add(events, settled: updates.filter { $0.settledGeneration != nil })
        for event in events { log.log(event) }
    }

    private func note(_ repairs: [Difference], of job: DeviceJob) {
        let spec = job.view.record.spec
        for difference in repairs {
            metrics.driftRepairs.increment([difference.field.rawValue])
            if spec.isRepairedAlways(difference.field) { continue }
            budgets[job.name, default: RepairBudget()].note(
                difference.field, controller: job.link?.controller, at: .now)
        }
    }

    private func writeHistory() {
        let failure = snapshots.current.storeFailure
        do throws(StoreError) {
            // After a known failure the write waits for the disk: otherwise its success would not prove a recovery.
            try history.write(to: store, recoveringFrom: failure) {
                if failure != nil { snapshots.setStoreFailure(nil) }
            }
        } catch {
            if failure != error.description {
                log.error("events cannot be written to the database", metadata: ["error": "\(error)"])
            }
            snapshots.setStoreFailure(error.description)
        }
    }
}
