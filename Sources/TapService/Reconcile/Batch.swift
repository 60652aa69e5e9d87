internal import TapCore
internal import TapStore

/// Devices that are planned, done and read back together.
struct Batch {
    /// A plan and its verification; some plans have a sequel, such as making anew what was deleted for it.
    static let roundsMax = 4

    let jobs: [Job]
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
        jobs = views.map { Job($0, claim: $0.record.claim) }
        self.sites = sites
        self.kernel = kernel
        self.store = store
        self.board = board
        self.accounts = accounts
        self.metrics = metrics
    }

    /// - Throws: `KernelError` when the kernel cannot be read back.
    func run(contested: (DeviceName) -> Set<DeviceField>) throws(KernelError) {
        for round in 1...Self.roundsMax {
            for job in jobs where job.isOpen {
                decide(job, round: round, contested: contested(job.view.record.name))
                if round == Self.roundsMax, case .failed(let reason) = job.outcome {
                    job.fail(reason + holders(of: job))
                }
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
            decide(job, round: 1, contested: [])
            let name = job.view.record.name
            switch job.outcome {
            case .open:
                return DevicePlan(
                    name: name, steps: planned(job), obstacle: controllerObstacle(job)?.message(for: name))
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

    /// Why a device would not join its controller, although all else can be done.
    private func controllerObstacle(_ job: Job) -> Obstacle? {
        let spec = job.view.record.spec
        guard let site = job.site, let controller = spec.link.controller, job.view.record.deletionRequestedAt == nil,
            job.link?.controller == nil || job.link?.controller != site.observed[controller.text]?.index
        else { return nil }
        return spec.controllerObstacle(in: site.observed)
    }

    /// With the sequel of a deletion, which is known before it is done.
    private func planned(_ job: Job) -> [Step] {
        guard job.steps == [.delete] else { return job.steps }
        if job.view.record.deletionRequestedAt != nil { return [.delete, .forget] }
        let sequel = Job(job.view, claim: nil)
        decide(sequel, round: 1, contested: [], ignoring: job.index)
        return [.delete] + sequel.steps
    }

    // MARK: Decide

    private func decide(
        _ job: Job, round: Int, contested: Set<DeviceField>, ignoring gone: LinkIndex? = nil
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
    private func perform() {
        delete()
        perform(\.stepsBeforeClaim)
        commitClaims()
        perform(\.stepsAfterClaim)
        forget()
    }

    private func delete() {
        for site in sites.all.values {
            let doomed = jobs.filter { $0.deletes && $0.site === site }
            guard !doomed.isEmpty else { continue }
            for _ in doomed { CrashPoint.reach(Step.delete.name) }
            do throws(KernelError) {
                try site.kernel.delete(doomed.compactMap(\.index))
                metrics.operations.increment([Step.delete.name], by: UInt64(doomed.count))
                // An anchor would outlive its device: the next one may be made in another namespace.
                for index in doomed.compactMap(\.index) { site.disown(index) }
            } catch {
                for job in doomed { fail(job, error) }
            }
        }
    }

    private func perform(_ steps: (Job) -> ArraySlice<Step>) {
        for site in sites.all.values {
            let concerned = jobs.filter { $0.isOpen && $0.site === site && !steps($0).isEmpty }
            guard !concerned.isEmpty else { continue }
            var runs = concerned.map { StepRun(steps($0), on: $0.view.record.name, at: $0.index) }
            site.kernel.perform(&runs) { CrashPoint.reach($0.name) }
            var done: [String: UInt64] = [:]
            for (job, run) in zip(concerned, runs) {
                job.index = run.index
                for step in run.steps.prefix(run.done) { done[step.name, default: 0] += 1 }
                if let failure = run.failure { fail(job, failure) }
            }
            for (name, count) in done { metrics.operations.increment([name], by: count) }
        }
    }

    private func fail(_ job: Job, _ error: KernelError) {
        metrics.kernelErrors.increment([error.operation, error.errno.description])
        job.fail(error.description + (error.errno == .busy ? holders(of: job) : ""))
    }

    /// Who holds the device open, for the end of a sentence; nothing where it cannot be told.
    private func holders(of job: Job) -> String {
        let name = job.view.record.name.text
        let holders = kernel.holders(of: [name])[name] ?? []
        return holders.isEmpty ? "" : "; held open by " + holders.map(\.description).joined(separator: ", ")
    }

    private func commitClaims() {
        var claimed: [(job: Job, claim: Claim)] = []
        for job in jobs where job.isOpen {
            guard let settings = job.settingsToClaim, let index = job.index, let site = job.site else { continue }
            let claim = Claim(host: site.observed.host, namespace: site.location, index: index, settings: settings)
            claimed.append((job, claim))
        }
        guard !claimed.isEmpty else { return }
        do throws(StoreError) {
            for _ in claimed { CrashPoint.reach("claim") }
            try store.record { transaction in
                for (job, claim) in claimed { try transaction.claim(claim, for: job.view.record.name) }
            } committed: {
                board.publish(claimed.map { WorkerUpdate($0.job.view, claim: $0.claim) })
            }
            for (job, claim) in claimed {
                job.claim = claim
                job.site?.own(claim.index, job.view.record.name)
                job.site?.verify(claim.index)
            }
        } catch {
            board.setStoreFailure(error.description)
            for (job, claim) in claimed {
                // Not persistent yet, so letting go undoes a creation. An anchor stays: its device was there before.
                if let kernel = job.site?.kernel, !kernel.anchored.contains(claim.index) {
                    kernel.abandon(claim.index)
                }
                job.fail(error.description)
            }
        }
    }

    private func forget() {
        let doomed = jobs.filter(\.forgets)
        guard !doomed.isEmpty else { return }
        for _ in doomed { CrashPoint.reach(Step.forget.name) }
        var gone: [DeviceName] = []
        var revision = 0
        do throws(StoreError) {
            try store.record { transaction in
                revision = try transaction.nextRevision()
                for job in doomed where try transaction.forget(job.view.record.identifier) {
                    gone.append(job.view.record.name)
                    try transaction.append(
                        EventRecord(
                            at: .now(), device: job.view.record.name, reason: "Deleted", message: "the device is gone"))
                }
            } committed: {
                board.remove(gone, revision: revision)
            }
            for job in doomed {
                if let claim = job.claim { sites.all[claim.namespace]?.disown(claim.index) }
                job.close()
            }
        } catch {
            board.setStoreFailure(error.description)
            for job in doomed { job.fail(error.description) }
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
                try site.readBack(touched)
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
