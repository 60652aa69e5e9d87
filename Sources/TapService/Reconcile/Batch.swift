internal import TapCore
internal import TapStore

/// Devices that are planned, done and read back together.
struct Batch {
    /// A plan and its verification; some plans have a sequel, such as making anew what was deleted for it.
    static let roundsMax = 4

    private(set) var jobs: [Job]
    private let sites: Sites
    private let kernel: any Kernel
    private let store: Store
    private let board: Board
    private let accounts: any Accounts
    private let metrics: Metrics

    init(
        _ views: [DeviceView], sites: Sites, kernel: any Kernel, store: Store, board: Board, accounts: any Accounts,
        metrics: Metrics
    ) {
        jobs = views.map { Job($0) }
        self.sites = sites
        self.kernel = kernel
        self.store = store
        self.board = board
        self.accounts = accounts
        self.metrics = metrics
    }

    /// - Throws: `KernelError` when the kernel cannot be read back.
    mutating func run(contested: (DeviceName) -> Set<DeviceField>) throws(KernelError) {
        for round in 1...Self.roundsMax {
            for position in jobs.indices where jobs[position].isOpen {
                decide(&jobs[position], round: round, contested: contested(jobs[position].view.record.name))
            }
            guard jobs.contains(where: \.isOpen) else { return }
            for job in jobs { announce(job) }
            perform()
            try verify()
        }
    }

    /// What the first round would do, without doing it.
    func plans() -> [DevicePlan] {
        jobs.map { job in
            var job = job
            decide(&job, round: 1, contested: [])
            let name = job.view.record.name
            switch job.outcome {
            case .open: return DevicePlan(name: name, steps: planned(job))
            case .blocked(let obstacle):
                return DevicePlan(name: name, steps: [], obstacle: obstacle.message(for: name))
            case .homeless(.missing(let detail)): return DevicePlan(name: name, steps: [], obstacle: detail)
            case .homeless(.unusable(let error)):
                return DevicePlan(name: name, steps: [], obstacle: error.description)
            case .failed(let reason): return DevicePlan(name: name, steps: [], obstacle: reason)
            case .settled, .closed: return DevicePlan(name: name, steps: [])
            }
        }
    }

    /// With the sequel of a deletion, which is known before it is done.
    private func planned(_ job: Job) -> [Step] {
        guard job.steps == [.delete] else { return job.steps }
        if job.view.record.deletionRequestedAt != nil { return [.delete, .forget] }
        var sequel = job
        sequel.claim = nil
        decide(&sequel, round: 1, contested: [], ignoring: job.index)
        return [.delete] + sequel.steps
    }

    // MARK: Decide

    private func decide(
        _ job: inout Job, round: Int, contested: Set<DeviceField>, ignoring gone: LinkIndex? = nil
    ) {
        let isLast = round == Self.roundsMax
        let wanted: WantedDevice
        do throws(ValidationError) {
            wanted = try WantedDevice(
                job.view.record, claim: job.claim, accounts: accounts, daemonUser: kernel.daemonUser)
        } catch {
            return job.fail(error.detail)
        }
        do throws(NamespaceFailure) {
            if let (decision, site) = try decideOnLeaving(wanted, ignoring: gone) {
                job.take(decision, at: site, link: wanted.ownLink(in: site.observed), isLastRound: isLast)
            } else if wanted.isDeletionRequested {
                let forgetting = Decision.act([.forget], differences: [], index: nil)
                job.take(forgetting, at: nil, link: nil, isLastRound: isLast)
            } else {
                let site = try sites.site(at: wanted.spec.networkNamespace)
                let decision =
                    if let gone {
                        wanted.decide(in: site.observed.without(gone), contested: contested)
                    } else {
                        wanted.decide(in: site.observed, contested: contested)
                    }
                job.take(decision, at: site, link: wanted.ownLink(in: site.observed), isLastRound: isLast)
            }
        } catch {
            job.leave(error)
        }
    }

    /// What to do where the device is, when it is to be deleted or wanted elsewhere; nothing when it is not there.
    private func decideOnLeaving(
        _ wanted: WantedDevice, ignoring gone: LinkIndex?
    ) throws(NamespaceFailure) -> (Decision, Site)? {
        guard let claim = wanted.claim, claim.index != gone,
            wanted.isDeletionRequested || claim.namespace != wanted.spec.networkNamespace
        else { return nil }
        do throws(NamespaceFailure) {
            let site = try sites.site(at: claim.namespace)
            return wanted.decideOnLeaving(site.observed).map { ($0, site) }
        } catch {
            // A namespace that is gone has taken its devices along.
            if case .missing = error { return nil }
            throw error
        }
    }

    /// What the world is told of a plan before it is done.
    private func announce(_ job: Job) {
        guard job.isOpen, let site = job.site else { return }
        if let controller = job.view.record.spec.link.controller { site.apply(job.view.record.name, for: controller) }
        for case .setLink(let change) in job.steps {
            if case .join(_, let controller) = change.controller { site.promisePort(of: controller) }
        }
        // The interface that the claim names is gone; so is the use of an anchor on it.
        if case .create = job.steps.first, let claim = job.claim, claim.host == site.observed.host {
            site.disown(claim.index)
        }
    }

    // MARK: Do

    /// Kernel, database, kernel: no device becomes persistent before its claim is committed.
    private mutating func perform() {
        delete()
        perform(\.stepsBeforeClaim)
        commitClaims()
        perform(\.stepsAfterClaim)
        forget()
    }

    private mutating func delete() {
        for site in sites.all.values {
            let positions = jobs.indices.filter { jobs[$0].deletes && jobs[$0].site === site }
            guard !positions.isEmpty else { continue }
            for _ in positions { CrashPoint.reach(Step.delete.name) }
            do throws(KernelError) {
                try site.kernel.delete(positions.compactMap { jobs[$0].index })
                metrics.operations.increment([Step.delete.name], by: UInt64(positions.count))
            } catch {
                for position in positions { fail(position, error) }
            }
        }
    }

    private mutating func perform(_ steps: (Job) -> ArraySlice<Step>) {
        for site in sites.all.values {
            let positions = jobs.indices.filter {
                jobs[$0].isOpen && jobs[$0].site === site && !steps(jobs[$0]).isEmpty
            }
            guard !positions.isEmpty else { continue }
            var runs = positions.map { position in
                StepRun(steps(jobs[position]), on: jobs[position].view.record.name, at: jobs[position].index)
            }
            site.kernel.perform(&runs) { CrashPoint.reach($0.name) }
            for (position, run) in zip(positions, runs) {
                jobs[position].index = run.index
                for step in run.steps.prefix(run.done) { metrics.operations.increment([step.name]) }
                if let failure = run.failure { fail(position, failure) }
            }
        }
    }

    private mutating func fail(_ position: Int, _ error: KernelError) {
        metrics.kernelErrors.increment([error.operation, error.errno.description])
        var reason = error.description
        if error.errno == .busy {
            let holders = kernel.holders(of: jobs[position].view.record.name.text)
            if !holders.isEmpty { reason += "; held open by " + holders.map(\.description).joined(separator: ", ") }
        }
        jobs[position].fail(reason)
    }

    private mutating func commitClaims() {
        var updates: [WorkerUpdate] = []
        var claimed: [Int] = []
        for position in jobs.indices where jobs[position].isOpen {
            guard let settings = jobs[position].settingsToClaim, let index = jobs[position].index,
                let site = jobs[position].site
            else { continue }
            let claim = Claim(host: site.observed.host, namespace: site.location, index: index, settings: settings)
            jobs[position].claim = claim
            updates.append(WorkerUpdate(jobs[position].view, claim: claim))
            claimed.append(position)
        }
        guard !updates.isEmpty else { return }
        do throws(StoreError) {
            for _ in updates { CrashPoint.reach("claim") }
            try store.record { transaction in
                for update in updates {
                    if let claim = update.claim { try transaction.claim(claim, for: update.name) }
                }
            } committed: {
                board.publish(updates)
            }
            for position in claimed {
                guard let index = jobs[position].index else { continue }
                jobs[position].site?.own(index, jobs[position].view.record.name)
                jobs[position].site?.verify(index)
            }
        } catch {
            for position in claimed {
                // Not persistent yet, so letting go undoes a creation.
                if let index = jobs[position].index { jobs[position].site?.kernel.abandon(index) }
                jobs[position].fail(error.description)
            }
        }
    }

    private mutating func forget() {
        let positions = jobs.indices.filter { jobs[$0].forgets }
        guard !positions.isEmpty else { return }
        for _ in positions { CrashPoint.reach(Step.forget.name) }
        var gone: [DeviceName] = []
        var revision = 0
        do throws(StoreError) {
            try store.record { [jobs] transaction in
                revision = try transaction.nextRevision()
                for position in positions where try transaction.forget(jobs[position].view.record.identifier) {
                    let name = jobs[position].view.record.name
                    gone.append(name)
                    try transaction.append(
                        EventRecord(at: .now(), device: name, reason: "Deleted", message: "the device is gone"))
                }
            } committed: {
                board.remove(gone, revision: revision)
            }
            for position in positions {
                if let claim = jobs[position].claim { sites.all[claim.namespace]?.disown(claim.index) }
                jobs[position].close()
            }
        } catch {
            for position in positions { jobs[position].fail(error.description) }
        }
    }

    // MARK: Read back

    /// What the kernel had said of what was touched is older than what we know then; of a device that was settled in an
    /// earlier round it is news.
    private func verify() throws(KernelError) {
        for (location, site) in sites.all {
            let concerned = jobs.filter { $0.site === site }
            let touched = concerned.filter { !$0.isSettled }.compactMap(\.index)
            guard !touched.isEmpty else { continue }
            do throws(KernelError) {
                var signals = try site.kernel.signals()
                signals.touched.subtract(touched)
                let hasAddresses = concerned.contains {
                    !$0.isSettled
                        && ($0.steps.contains(where: \.isAboutAddresses) || !$0.view.record.spec.link.addresses.isEmpty)
                }
                if hasAddresses { signals.readdressed.subtract(touched) }
                site.heard.merge(signals)
                try site.refresh(touched)
                if hasAddresses { try site.refreshAddresses() }
            } catch {
                guard location != nil else { throw error }
                sites.close(location)
            }
        }
    }
}

extension Step {
    fileprivate var isAboutAddresses: Bool {
        switch self {
        case .addAddress, .removeAddress: true
        default: false
        }
    }
}

extension DescriptorHolder {
    /// As a person would name it.
    var description: String { "pid \(process) (\(command))" }
}
