internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapSystem

/// Devices that are planned, changed and read back together.
struct Batch {
    /// The most rounds of planning, changing and reading back. Some plans need a second, such as recreating a device
    /// after its deletion.
    static let roundsMax = 4

    let jobs: [DeviceJob]
    private let environment: any BatchEnvironment
    private var namespaces: NamespaceStates { environment.namespaces }
    private var kernel: any Kernel { environment.kernel }
    private var store: Store { environment.store }
    private var snapshots: SnapshotStore { environment.snapshots }
    private var metrics: EngineMetrics { environment.metrics }

    init(_ views: [DeviceView], in environment: any BatchEnvironment) {
        jobs = views.map { DeviceJob($0, claim: $0.record.claim) }
        self.environment = environment
    }

    /// Plans, changes and reads back, until all devices are settled, blocked or failed.
    ///
    /// - Throws: `KernelError` if the kernel cannot be read back.
    func run() throws(KernelError) {
        for round in 1...Self.roundsMax {
            for job in jobs where job.isOpen { decide(job, round: round) }
            guard jobs.contains(where: \.isOpen) else { break }
            for job in jobs {
                deleteMoved(job)
                announce(job)
            }
            perform()
            try verify()
        }
        findHolders()
        markLostClaims()
    }

    /// The steps that `run` would carry out, without carrying them out.
    func plans() -> [DevicePlan] {
        jobs.map { job in
            decide(job, round: 1)
            let name = job.name
            switch job.outcome {
            case .open:
                let steps = planned(job)
                let effects = job.namespace.map { steps.bridgeEffects(on: job.link, in: $0.observed) } ?? []
                return DevicePlan(
                    name: name, steps: steps, obstacle: controllerObstacle(job)?.message(for: name),
                    effects: effects.map(\.description))
            case .blocked(let obstacle):
                return DevicePlan(name: name, steps: [], obstacle: obstacle.message(for: name))
            case .namespaceUnavailable(.missing(let detail)): return DevicePlan(name: name, steps: [], obstacle: detail)
            case .namespaceUnavailable(.unusable(let error)):
                return DevicePlan(name: name, steps: [], obstacle: error.description)
            case .failed(let failure): return DevicePlan(name: name, steps: [], obstacle: failure.message)
            case .settled, .closed: return DevicePlan(name: name, steps: [])
            }
        }
    }

    /// Why a device cannot join its controller, although all other steps are possible; `nil` if it can.
    private func controllerObstacle(_ job: DeviceJob) -> Obstacle? {
        let spec = job.view.record.spec
        guard let namespace = job.namespace, let controller = spec.link.controller,
            job.view.record.deletionRequestedAt == nil,
            job.link?.controller == nil || job.link?.controller != namespace.observed[controller.text]?.index
        else { return nil }
        return spec.controllerObstacle(in: namespace.observed)
    }

    /// The job's steps; for a deletion, also those that follow it.
    private func planned(_ job: DeviceJob) -> [Step] {
        guard job.steps == [.delete] else { return job.steps }
        if job.view.record.deletionRequestedAt != nil { return [.delete, .forget] }
        let recreation = DeviceJob(job.view, claim: nil)
        decide(recreation, round: 1, ignoring: job.index)
        return [.delete] + recreation.steps
    }

    // MARK: Decide

    private func decide(_ job: DeviceJob, round: Int, ignoring gone: LinkIndex? = nil) {
        let isLast = round == Self.roundsMax
        let wanted: WantedDevice
        do throws(ValidationError) {
            wanted = try self.wanted(job)
        } catch {
            return job.fail(.invalid(error))
        }
        if wanted.replaced != nil { job.noteReplacement() }
        // What fails here fails again in the next pass, which reports it.
        do throws(KernelError) { try noteMove(of: job) } catch { metrics.countRefusal(error) }
        do throws(NamespaceFailure) {
            if let (decision, namespace) = try decideOnLeaving(wanted, ignoring: gone) {
                job.beginRound(
                    decision, at: namespace, link: wanted.ownLink(in: namespace.observed), isLastRound: isLast)
            } else if wanted.isDeletionRequested {
                let forgetting = Decision.act([.forget], differences: [], index: nil)
                job.beginRound(forgetting, at: nil, link: nil, isLastRound: isLast)
            } else {
                let namespace = try namespaces.namespace(at: wanted.spec.networkNamespace)
                let controller = wanted.spec.link.controller.flatMap { namespace.observed[$0.text]?.index }
                let contested = environment.contestedFields(of: job.name, controller: controller)
                let link = wanted.ownLink(in: namespace.observed)
                let decision =
                    if let gone {
                        wanted.decide(in: namespace.observed.without(gone), contested: contested)
                    } else {
                        wanted.decide(
                            in: namespace.observed, contested: contested,
                            retriesDuplicates: round == 1 && environment.retriesDuplicates(of: job.view, at: link))
                    }
                job.beginRound(
                    decision, at: namespace, link: link,
                    addressUse: wanted.addressUse(of: link, in: namespace.observed), isLastRound: isLast)
                note(link, of: wanted, at: namespace)
            }
        } catch {
            job.setNamespaceUnavailable(error)
        }
    }

    /// Notes where the device's interface was moved to, if it was.
    private func noteMove(of job: DeviceJob) throws(KernelError) {
        guard job.move == nil, let claim = job.claim, let namespace = namespaces.all[claim.namespace],
            namespace.observed.host == claim.host
        else { return }
        if !claim.isLost, namespace.observed[claim.index] == nil {
            try namespace.kernel.finishRemoval(of: claim.index)
            namespace.receive(try namespace.kernel.signals())
        }
        if let place = namespace.move(of: claim.index) { job.setMove(DeviceJob.Move(place: place)) }
    }

    private func wanted(_ job: DeviceJob) throws(ValidationError) -> WantedDevice {
        try WantedDevice(
            job.view.record, claim: job.claim, accounts: environment.accounts,
            daemon: (kernel.daemonUser, kernel.daemonGroup),
            replaced: environment.replacedInterface(of: job.view.record))
    }

    /// Decides on a device that is to be deleted or moved to another namespace; `nil` if no interface is left to
    /// delete.
    private func decideOnLeaving(
        _ wanted: WantedDevice, ignoring gone: LinkIndex?
    ) throws(NamespaceFailure) -> (Decision, NamespaceState)? {
        guard let claim = wanted.claim, claim.index != gone,
            wanted.isDeletionRequested || claim.namespace != wanted.spec.networkNamespace
        else { return nil }
        do throws(NamespaceFailure) {
            let namespace = try namespaces.namespace(at: claim.namespace)
            return wanted.decideOnLeaving(namespace.observed).map { ($0, namespace) }
        } catch {
            // The kernel has deleted the devices together with their namespace.
            if case .missing = error { return nil }
            throw error
        }
    }

    /// Notes the device's interface and controller in the namespace, so that later notifications about them lead to the
    /// device.
    private func note(_ link: ObservedLink?, of wanted: WantedDevice, at namespace: NamespaceState) {
        if let link { namespace.own(link.index, wanted.name) }
        guard let controller = wanted.spec.link.controller else { return namespace.wait(wanted.name, for: nil) }
        let index = namespace.observed[controller.text]?.index
        namespace.wait(wanted.name, for: index != nil && index == link?.controller ? nil : controller)
    }

    /// Notes the effects of a plan before it is carried out, for the plans after it.
    private func announce(_ job: DeviceJob) {
        guard job.isOpen, let namespace = job.namespace else { return }
        for case .setLink(let change) in job.steps {
            if case .join(_, let controller) = change.controller { namespace.reservePort(of: controller) }
        }
        // The interface of the claim is gone, so its anchor is no longer needed.
        if case .create = job.steps.first, let claim = job.claim, !claim.isLost, claim.host == namespace.observed.host {
            namespace.disown([claim.index])
        }
    }

    // MARK: Change

    /// Deletes an interface that another process has moved to another namespace, where it would have the MAC address of
    /// the one that takes its place, and be in no list. With `driftPolicy` `report` it stays until the device is
    /// deleted.
    private func deleteMoved(_ job: DeviceJob) {
        guard job.creates || job.forgets, var move = job.move, let claim = job.claim,
            let namespace = namespaces.all[claim.namespace], let wanted = try? wanted(job)
        else { return }
        do throws(KernelError) {
            // It may have been moved on, or its new number may be another interface's.
            if let link = try namespace.kernel.link(movedTo: move.place), wanted.resembles(link) {
                try namespace.kernel.delete(movedTo: move.place)
                move.isDeleted = true
            }
        } catch {
            metrics.countRefusal(error)
            move.failure = error
        }
        job.setMove(move)
        namespace.endMove(of: claim.index)
    }

    /// Kernel, then database, then kernel: a device becomes persistent only after its claim is committed.
    private func perform() {
        delete()
        perform(\.stepsBeforeClaim)
        commitClaims()
        perform(\.stepsAfterClaim)
        forget()
    }

    private func delete() {
        for namespace in namespaces.all.values {
            let toDelete = jobs.filter { $0.deletes && $0.namespace === namespace }
            guard !toDelete.isEmpty else { continue }
            for job in toDelete {
                let isGone = job.view.record.deletionRequestedAt != nil
                environment.endLeases(of: job.name, isGone ? .deleted : .recreated)
            }
            for _ in toDelete { CrashPoint.reach(Step.delete.name) }
            let refused = namespace.kernel.delete(toDelete.compactMap(\.index))
            metrics.operations.increment([Step.delete.name], by: UInt64(toDelete.count - refused.count))
            for job in toDelete {
                guard let index = job.index, let error = refused[index] else { continue }
                metrics.countRefusal(error)
                job.fail(.kernel(error))
            }
            // Closes the anchors here, since `announce` does so only for a device recreated in the same namespace.
            namespace.disown(toDelete.compactMap(\.index).filter { refused[$0] == nil })
        }
    }

    private func perform(_ steps: (DeviceJob) -> ArraySlice<Step>) {
        for namespace in namespaces.all.values {
            let affected = jobs.filter { $0.isOpen && $0.namespace === namespace && !steps($0).isEmpty }
            guard !affected.isEmpty else { continue }
            var runs = affected.map { StepRun(steps($0), on: $0.name, at: $0.index) }
            namespace.kernel.perform(&runs) { CrashPoint.reach($0.name) }
            var done: [String: UInt64] = [:]
            for (job, run) in zip(affected, runs) {
                job.finishSteps(run)
                for step in run.steps.prefix(run.done) { done[step.name, default: 0] += 1 }
                if let failure = run.failure { metrics.countRefusal(failure) }
            }
            for (name, count) in done { metrics.operations.increment([name], by: count) }
        }
    }

    /// Finds the processes that hold busy devices open: one search of all processes, for all devices.
    private func findHolders() {
        let busy = jobs.filter(\.isBusy)
        guard !busy.isEmpty else { return }
        let holders = kernel.holders.holders(of: Set(busy.map(\.name.text)))
        for job in busy { job.setHolders(holders[job.name.text] ?? []) }
    }

    /// Marks claims whose interface is gone as lost, so that they do not match another interface that gets the same
    /// index.
    private func markLostClaims() {
        var lost: [(job: DeviceJob, claim: Claim)] = []
        for job in jobs where !job.isSettled && !job.isClosed {
            guard var claim = job.claim, !claim.isLost, let namespace = namespaces.all[claim.namespace],
                namespace.observed.host == claim.host, namespace.observed[claim.index] == nil
            else { continue }
            claim.isLost = true
            lost.append((job, claim))
        }
        guard !lost.isEmpty else { return }
        do throws(StoreError) {
            try store.record { transaction in
                for (job, claim) in lost { try transaction.claim(claim, for: job.name) }
            } committed: {
                snapshots.publish(lost.map { WorkerUpdate($0.job.view, claim: $0.claim) })
            }
            for (_, claim) in lost { namespaces.all[claim.namespace]?.disown([claim.index]) }
        } catch {
            // Retried in the next pass.
            snapshots.setStoreFailure(error.description)
        }
    }

    private func commitClaims() {
        let claimed = jobs.compactMap { job in job.claimToCommit.map { (job: job, claim: $0) } }
        guard !claimed.isEmpty else { return }
        do throws(StoreError) {
            for _ in claimed { CrashPoint.reach("claim") }
            try store.record { transaction in
                for (job, claim) in claimed { try transaction.claim(claim, for: job.name) }
            } committed: {
                snapshots.publish(claimed.map { WorkerUpdate($0.job.view, claim: $0.claim) })
            }
            for (job, claim) in claimed { job.commit(claim) }
        } catch {
            snapshots.setStoreFailure(error.description)
            for (job, claim) in claimed {
                // Not persistent yet, so closing its descriptor removes a created device. An anchor stays, since its
                // device existed before.
                if let kernel = job.namespace?.kernel, !kernel.anchored.contains(claim.index) {
                    kernel.abandon(claim.index)
                }
                job.fail(.store(error))
            }
        }
    }

    private func forget() {
        let toForget = jobs.filter(\.forgets)
        guard !toForget.isEmpty else { return }
        for _ in toForget { CrashPoint.reach(Step.forget.name) }
        var gone: [DeviceName] = []
        var revision = 0
        do throws(StoreError) {
            try store.record { transaction in
                revision = try transaction.nextRevision()
                for job in toForget where try transaction.forget(job.view.record.identifier) {
                    gone.append(job.name)
                    try transaction.append(
                        EventRecord(
                            at: .now(), device: job.name, reason: .deleted,
                            message: (["the device was deleted"] + job.bridgeEffects.map(\.description))
                                .joined(separator: "; ") + (job.move.map { "; it \($0.message)" } ?? "")))
                }
            } committed: {
                snapshots.remove(gone, revision: revision)
            }
            for job in toForget {
                if let claim = job.claim, !claim.isLost, let namespace = namespaces.all[claim.namespace],
                    namespace.observed.host == claim.host
                {
                    namespace.disown([claim.index])
                }
                for namespace in namespaces.all.values { namespace.forget(job.name) }
                job.close()
            }
        } catch {
            snapshots.setStoreFailure(error.description)
            for job in toForget { job.fail(.store(error)) }
        }
    }

    // MARK: Read back

    /// Reads the changed interfaces back. Earlier notifications about them are then outdated; those about others
    /// stay pending.
    private func verify() throws(KernelError) {
        for (location, namespace) in namespaces.all {
            let affected = jobs.filter { $0.namespace === namespace && $0.index != nil }
            let touched = affected.compactMap(\.index)
            guard !touched.isEmpty else { continue }
            do throws(KernelError) {
                var signals = try namespace.kernel.signals()
                signals.touched.subtract(touched)
                let hasAddresses = affected.contains {
                    $0.steps.contains(where: \.isAboutAddresses) || !$0.view.record.spec.link.addresses.isEmpty
                }
                if hasAddresses { signals.readdressed.subtract(touched) }
                namespace.receive(signals)
                try namespace.readBack(touched + affected.flatMap { $0.bridgeEffects.map(\.bridge) })
                // Another process may have given the number of a removed interface to its own.
                for index in signals.removed where namespace.observed[index] != nil { namespace.touch(index) }
                if hasAddresses { try namespace.refreshAddresses() }
            } catch {
                guard location != nil else { throw error }
                environment.abandon(location, error)
            }
        }
        for job in jobs { job.endRound() }
    }
}

extension Step {
    fileprivate var isAboutAddresses: Bool {
        switch self {
        // The kernel removes addresses when it turns IPv6 off.
        case .addAddress, .removeAddress, .setIPv6, .removeLearnedRoutes: true
        default: false
        }
    }
}
