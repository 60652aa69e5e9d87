internal import Foundation
internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapDocument
internal import TapStore

/// The one thread that touches the kernel. Level-triggered: whatever wakes it, it looks at what is wanted and what is
/// there, and does what makes the second like the first.
final class Worker: @unchecked Sendable {
    // Unchecked: everything mutable is used by the worker's thread alone; `start` hands it over.

    /// A full look happens this often, and up to a fifth earlier or later.
    static let resyncSeconds = 60.0
    /// Devices that are made together: each holds a descriptor until their claims are committed. A stop waits for one
    /// batch, and a deletion may take 25 ms.
    static let batchDevicesMax = 32
    /// How long what happened may wait for being written. A crash loses that much of the history, and no device.
    static let historyMillisecondsMax = 20
    /// A plan and its verification; some plans have a sequel, such as forgetting what was deleted.
    static let roundsMax = 3

    private let kernel: any Kernel
    private let store: Store
    private let board: Board
    private let queue: WorkQueue
    private let accounts: any Accounts
    private let metrics: Metrics
    private let log: Logger
    private let onReady: @Sendable () -> Void

    private var links = LinkTable()
    /// Whose interface a number is.
    private var owners: [LinkIndex: DeviceName] = [:]
    private var retries: [DeviceName: Retry] = [:]
    private var nextResync = ContinuousClock.now
    /// What the kernel said while a pass was running, of devices that the pass had not touched.
    private var heard = KernelSignals()
    private var unwritten = History()
    private let ended = DispatchSemaphore(value: 0)

    /// Events and settled generations that wait to be written together: one transaction for many, and none between a
    /// user's write and the next.
    private struct History {
        var events: [EventRecord] = []
        var settled: [WorkerUpdate] = []
        var since: ContinuousClock.Instant?

        var isEmpty: Bool { events.isEmpty && settled.isEmpty }
        var due: ContinuousClock.Instant? { since.map { $0 + .milliseconds(Worker.historyMillisecondsMax) } }
    }

    private struct Retry {
        var backoff = Backoff()
        var due: ContinuousClock.Instant
    }

    init(
        kernel: any Kernel, store: Store, board: Board, queue: WorkQueue, accounts: any Accounts, metrics: Metrics,
        log: Logger, onReady: @escaping @Sendable () -> Void
    ) {
        self.kernel = kernel
        self.store = store
        self.board = board
        self.queue = queue
        self.accounts = accounts
        self.metrics = metrics
        self.log = log
        self.onReady = onReady
    }

    func start() {
        let thread = Thread { [self] in
            run()
            ended.signal()
        }
        thread.name = "tapster-worker"
        thread.start()
    }

    /// Ends after the current pass; the kernel stays as it is.
    func stop() {
        queue.stop()
        ended.wait()
    }

    private func run() {
        while !queue.isStopping {
            do throws(KernelError) {
                let signals = try kernel.wait(until: nextWake())
                heard.touched.formUnion(signals.touched)
                heard.wasOverrun = heard.wasOverrun || signals.wasOverrun
                try pass()
                board.setWorkerFailure(nil)
            } catch {
                fail(error)
            }
            if let due = unwritten.due, due <= .now { writeHistory() }
        }
        writeHistory()
    }

    private func nextWake() -> ContinuousClock.Instant {
        guard queue.isEmpty, heard == KernelSignals() else { return .now }
        let soonest = retries.values.map(\.due).reduce(nextResync, min)
        return unwritten.due.map { min($0, soonest) } ?? soonest
    }

    /// The kernel cannot even be looked at: say so, and look again in full a little later.
    private func fail(_ error: KernelError) {
        log.error("the kernel cannot be observed", metadata: ["error": "\(error)"])
        metrics.kernelErrors.increment([error.operation, error.errno.description])
        metrics.passes.increment(["error"])
        board.setWorkerFailure(error.description)
        heard = KernelSignals()
        nextResync = .now + .seconds(1)
        Thread.sleep(forTimeInterval: 0.05)
    }

    // MARK: One pass

    private func pass() throws(KernelError) {
        let began = ContinuousClock.now
        let signals = heard
        heard = KernelSignals()
        let work = queue.take()
        if signals.wasOverrun { metrics.overruns.increment([]) }
        if let wait = work.longestWait { metrics.queueWait.observe(wait) }
        let isFull = signals.wasOverrun || nextResync <= began
        var names = isFull ? try lookAtAll() : try look(at: signals.touched)
        names.formUnion(work.names)
        for name in names { retries[name] = nil }
        names.formUnion(takeDueRetries(began))
        guard !names.isEmpty || isFull else { return }

        for batch in Array(names).chunked(Self.batchDevicesMax) where !queue.isStopping { try reconcile(batch) }

        metrics.passes.increment(["success"])
        metrics.passDuration.observe(began.duration(to: .now))
        metrics.lastSuccess.set(Date().timeIntervalSince1970)
        if isFull, !board.snapshot.isReady, !queue.isStopping {
            board.setReady()
            onReady()
        }
    }

    private func lookAtAll() throws(KernelError) -> Set<DeviceName> {
        links = LinkTable(try kernel.links())
        nextResync = .now + .seconds(Self.resyncSeconds * Double.random(in: 0.8...1.2))
        let devices = board.snapshot.devices
        owners = [:]
        for view in devices.values {
            if let claim = view.record.claim, claim.host == kernel.host { owners[claim.index] = view.record.name }
        }
        // A device that failed keeps its own time; the others are all looked at.
        return Set(devices.keys).subtracting(retries.keys)
    }

    /// Asks for the truth about links of which the kernel said something.
    private func look(at indexes: Set<LinkIndex>) throws(KernelError) -> Set<DeviceName> {
        guard !indexes.isEmpty else { return [] }
        let before = indexes.compactMap { links[$0]?.name }
        try refresh(Array(indexes))
        let after = indexes.compactMap { links[$0]?.name }
        let devices = board.snapshot.devices
        let concerned = (before + after).compactMap { try? DeviceName($0) }.filter { devices[$0] != nil }
        return Set(concerned + indexes.compactMap { owners[$0] })
    }

    private func refresh(_ indexes: [LinkIndex]) throws(KernelError) {
        let found = try kernel.links(at: indexes)
        for index in indexes { links.remove(index) }
        for link in found { links.insert(link) }
    }

    private func takeDueRetries(_ now: ContinuousClock.Instant) -> [DeviceName] {
        retries.filter { $0.value.due <= now }.map(\.key)
    }

    // MARK: One batch

    private func reconcile(_ names: [DeviceName]) throws(KernelError) {
        let devices = board.snapshot.devices
        var jobs = names.compactMap { name in devices[name].map { Job($0, host: kernel.host) } }
        for name in names where devices[name] == nil { retries[name] = nil }
        for round in 1...Self.roundsMax {
            for position in jobs.indices where jobs[position].isOpen { decide(&jobs[position], round: round) }
            guard jobs.contains(where: \.isOpen) else { break }
            perform(&jobs)
            try verify(jobs)
        }
        conclude(jobs)
    }

    private func decide(_ job: inout Job, round: Int) {
        let record = job.view.record
        let wanted: WantedDevice
        do throws(ValidationError) {
            wanted = try WantedDevice(record, claim: job.claim, accounts: accounts, daemonUser: kernel.daemonUser)
        } catch {
            job.fail(error.detail)
            return
        }
        let decision = wanted.decide(links: links, anchored: kernel.anchored, host: kernel.host)
        job.take(decision, link: wanted.ownLink(in: links, host: kernel.host), isLastRound: round == Self.roundsMax)
        if case .act(let steps, _, nil) = decision, case .create = steps.first, let old = job.claim?.index {
            // The interface that the claim names is gone; so is the use of an anchor on it.
            kernel.abandon(old)
        }
    }

    /// Kernel, database, kernel: no device becomes persistent before its claim is committed.
    private func perform(_ jobs: inout [Job]) {
        for position in jobs.indices where jobs[position].isOpen {
            run(&jobs[position], jobs[position].stepsBeforeClaim)
        }
        commitClaims(&jobs)
        for position in jobs.indices where jobs[position].isOpen {
            run(&jobs[position], jobs[position].stepsAfterClaim)
        }
        forget(&jobs)
    }

    private func run(_ job: inout Job, _ steps: ArraySlice<Step>) {
        guard !steps.isEmpty else { return }
        do throws(KernelError) {
            job.index = try kernel.perform(steps, on: job.view.record.name, at: job.index)
            for step in steps { metrics.operations.increment([step.name]) }
        } catch {
            metrics.kernelErrors.increment([error.operation, error.errno.description])
            job.fail(error.description)
        }
    }

    private func commitClaims(_ jobs: inout [Job]) {
        var updates: [WorkerUpdate] = []
        for position in jobs.indices where jobs[position].isOpen {
            guard let settings = jobs[position].settingsToClaim, let index = jobs[position].index else { continue }
            let claim = Claim(host: kernel.host, index: index, settings: settings)
            jobs[position].claim = claim
            updates.append(WorkerUpdate(jobs[position].view, claim: claim))
        }
        guard !updates.isEmpty else { return }
        do throws(StoreError) {
            try store.record { transaction in
                for update in updates {
                    if let claim = update.claim { try transaction.claim(claim, for: update.name) }
                }
            } committed: {
                board.publish(updates)
            }
            for update in updates { if let index = update.claim?.index { owners[index] = update.name } }
        } catch {
            // Not persistent yet, so letting go undoes the creation.
            for position in jobs.indices where jobs[position].isOpen && jobs[position].settingsToClaim != nil {
                if let index = jobs[position].index { kernel.abandon(index) }
                jobs[position].fail(error.description)
            }
        }
    }

    private func forget(_ jobs: inout [Job]) {
        let gone = jobs.filter { $0.isOpen && $0.forgets }
        guard !gone.isEmpty else { return }
        let names = gone.map(\.view.record.name)
        var revision = 0
        do throws(StoreError) {
            try store.record { transaction in
                for name in names {
                    revision = try transaction.forget(name)
                    try transaction.append(
                        EventRecord(at: .now(), device: name, reason: "Deleted", message: "the device is gone"))
                }
            } committed: {
                board.remove(names, revision: revision)
            }
            for job in gone {
                if let index = job.claim?.index {
                    owners[index] = nil
                    kernel.abandon(index)
                }
            }
            for name in names { retries[name] = nil }
            for position in jobs.indices where jobs[position].isOpen && jobs[position].forgets {
                jobs[position].close()
            }
        } catch {
            for position in jobs.indices where jobs[position].isOpen && jobs[position].forgets {
                jobs[position].fail(error.description)
            }
        }
    }

    /// Reads back what was touched. What the kernel had said of it before is then older than what we know; of a device
    /// that was settled in an earlier round it is news.
    private func verify(_ jobs: [Job]) throws(KernelError) {
        let touched = jobs.filter { !$0.isSettled }.compactMap(\.index)
        let signals = try kernel.wait(until: .now)
        heard.touched.formUnion(signals.touched.subtracting(touched))
        heard.wasOverrun = heard.wasOverrun || signals.wasOverrun
        try refresh(touched)
    }

    /// Tells what became of the batch: the status on the board, and events and settled generations for the history.
    private func conclude(_ jobs: [Job]) {
        var updates: [WorkerUpdate] = []
        var events: [EventRecord] = []
        let now = Timestamp.now()
        for job in jobs where !job.isClosed {
            let record = job.view.record
            let status = job.status(at: now)
            let settles = job.isSettled && record.settledGeneration != record.generation
            events += job.events(status, at: now)
            if case .failed = job.outcome { retryLater(record.name) } else { retries[record.name] = nil }
            for difference in job.repairs { metrics.driftRepairs.increment([difference.field.rawValue]) }
            if settles || status != job.view.status {
                var update = WorkerUpdate(job.view, status: status)
                update.settledGeneration = settles ? record.generation : nil
                updates.append(update)
            }
        }
        if !updates.isEmpty { board.publish(updates) }
        unwritten.events += events
        unwritten.settled += updates.filter { $0.settledGeneration != nil }
        if unwritten.since == nil, !unwritten.isEmpty { unwritten.since = .now }
        for event in events { log.log(event) }
    }

    private func writeHistory() {
        guard !unwritten.isEmpty else { return }
        let history = unwritten
        unwritten = History()
        do throws(StoreError) {
            try store.record { transaction in
                for update in history.settled {
                    try transaction.settle(update.identifier, generation: update.settledGeneration ?? 0)
                }
                for event in history.events { try transaction.append(event) }
            }
        } catch {
            // The kernel is as it is; a later start finds the devices settled and says so.
            log.error("what happened was not recorded", metadata: ["error": "\(error)"])
            board.setStoreFailure(error.description)
        }
    }

    private func retryLater(_ name: DeviceName) {
        var retry = retries[name] ?? Retry(due: .now)
        var generator = SystemRandomNumberGenerator()
        retry.due = .now + retry.backoff.next(using: &generator)
        retries[name] = retry
    }
}

extension WorkerUpdate {
    fileprivate init(_ view: DeviceView, status: DeviceStatus? = nil, claim: Claim? = nil) {
        self.init(name: view.record.name, identifier: view.record.identifier, status: status, claim: claim)
    }
}

extension WantedDevice {
    /// - Throws: `ValidationError` when the owner or the group has gone from the host.
    fileprivate init(
        _ record: DeviceRecord, claim: Claim?, accounts: any Accounts, daemonUser: UInt32
    ) throws(ValidationError) {
        var owner: UInt32?
        var group: UInt32?
        switch record.spec.access {
        case .brokered: owner = daemonUser
        case .open:
            if let principal = record.spec.owner {
                owner = accounts.userNumber(principal)
                if owner == nil { throw ValidationError("the owner '\(principal)' no longer exists on this host") }
            }
            if let principal = record.spec.group {
                group = accounts.groupNumber(principal)
                if group == nil { throw ValidationError("the group '\(principal)' no longer exists on this host") }
            }
        }
        self.init(
            name: record.name, identifier: record.identifier, spec: record.spec,
            isDeletionRequested: record.deletionRequestedAt != nil, owner: owner, group: group, claim: claim)
    }
}

extension Array {
    fileprivate func chunked(_ size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}

extension Logger {
    fileprivate func log(_ event: EventRecord) {
        var metadata: Metadata = ["reason": "\(event.reason)"]
        if let device = event.device { metadata["device"] = "\(device)" }
        if let difference = event.difference {
            metadata["field"] = "\(difference.field)"
            metadata["wanted"] = "\(difference.wanted.text)"
            metadata["observed"] = "\(difference.observed.text)"
        }
        log(level: event.severity == .warning ? .warning : .info, "\(event.message)", metadata: metadata)
    }
}
