internal import TapCore
internal import TapDocument
internal import TapStore

/// One device on its way through a pass.
final class Job {
    enum Outcome: Equatable {
        /// There is something to do.
        case open
        case settled
        case blocked(Obstacle)
        /// The namespace cannot be entered.
        case homeless(NamespaceFailure)
        case failed(String)
        /// The device is gone and forgotten.
        case closed
    }

    let view: DeviceView
    var claim: Claim?
    /// What this round touches; nothing when it touches nothing.
    var index: LinkIndex?
    /// Where the plan is to be done.
    private(set) var site: Site?
    private(set) var outcome = Outcome.open
    private(set) var link: ObservedLink?
    private(set) var steps: [Step] = []
    /// Whether it failed because somebody has the device open, as far as one can tell.
    private(set) var isBusy = false
    /// What would be done about a device that is left alone.
    private(set) var withheldSteps: [Step] = []
    /// What the first look found, before anything was done.
    private var found: [Difference]?
    /// What is still so at the end.
    private var remaining: [Difference] = []

    /// With the view's own claim, unless one wants to know how it would be without it.
    init(_ view: DeviceView, claim: Claim?) {
        self.view = view
        self.claim = claim
    }

    var isOpen: Bool { if case .open = outcome { true } else { false } }
    var isClosed: Bool { if case .closed = outcome { true } else { false } }
    var isSettled: Bool { if case .settled = outcome { true } else { false } }
    /// Whether there was nothing to do, and there is nothing to tell.
    var isUneventful: Bool {
        let status = view.status
        return isSettled && found?.isEmpty == true && view.record.settledGeneration == view.record.generation
            && status.observedGeneration == view.record.generation && status.isReady && status.link == link
    }
    var deletes: Bool { isOpen && steps == [.delete] }
    var forgets: Bool { isOpen && steps == [.forget] }

    var stepsBeforeClaim: ArraySlice<Step> { deletes ? [] : steps.prefix { !$0.isForStore } }
    var stepsAfterClaim: ArraySlice<Step> { steps.drop { !$0.isForStore }.dropFirst() }

    var settingsToClaim: DescriptorSettings? {
        for case .claim(let settings) in steps { return settings }
        return nil
    }

    func take(_ decision: Decision, at site: Site?, link: ObservedLink?, isLastRound: Bool) {
        self.link = link
        self.site = site
        steps = []
        index = nil
        switch decision {
        case .settled:
            found = found ?? []
            outcome = .settled
        case .blocked(let obstacle, let differences, let withheldSteps):
            found = found ?? differences
            remaining = differences
            self.withheldSteps = withheldSteps
            outcome = .blocked(obstacle)
        case .act(let steps, let differences, let index):
            // A device that went while it was put right counts as missing, whatever was wrong with it before.
            if case .create = steps.first { found = differences }
            note(differences)
            if isLastRound {
                let fields = differences.map(\.field.rawValue).joined(separator: ", ")
                fail(
                    "read back after the change and still different: \(fields)", isBusy: true)
            } else {
                self.steps = steps
                self.index = index
            }
        }
    }

    /// What somebody changes while we repair is his doing too. A device that we make is not yet as wanted, and that is not.
    private func note(_ differences: [Difference]) {
        let known = found ?? []
        guard !known.contains(where: { $0.field == .device }) else { return }
        found = known + differences.filter { new in !known.contains { $0.field == new.field } }
    }

    func fail(_ reason: String, isBusy: Bool = false) {
        remaining = found ?? []
        outcome = .failed(reason)
        self.isBusy = isBusy
    }

    func name(holders: [DescriptorHolder]) {
        guard case .failed(let reason) = outcome, !holders.isEmpty else { return }
        let list = holders.map { "pid \($0.process) (\($0.command))" }.joined(separator: ", ")
        outcome = .failed("\(reason); held open by \(list)")
    }

    func leave(_ failure: NamespaceFailure) {
        (site, link) = (nil, nil)
        outcome = .homeless(failure)
    }

    func close() { outcome = .closed }

    // MARK: What to tell

    /// Whether the present spec had been reached here: what differs now is somebody else's doing.
    private var wasReached: Bool {
        let record = view.record
        return record.settledGeneration == record.generation && record.deletionRequestedAt == nil
            // After a reboot, or in a namespace made anew, a missing device is nobody's doing.
            && record.claim?.host == site?.observed.host
    }

    private func drift(in differences: [Difference]) -> [Difference] {
        guard wasReached else { return [] }
        // With the daemon end its anchors, and with them a carrier that they kept.
        let hasLostAnchor = found?.contains { $0.field == .anchor } == true
        return differences.filter {
            view.record.spec.isStrangersDoing($0) && !(hasLostAnchor && $0.field == .carrier)
        }
    }

    /// Drift that this pass has put right.
    var repairs: [Difference] {
        switch outcome {
        case .settled: drift(in: found ?? [])
        // What was not withheld has been done before.
        case .blocked: drift(in: found ?? []).filter { old in !remaining.contains { $0.field == old.field } }
        case .open, .failed, .homeless, .closed: []
        }
    }

    /// Drift that is still there.
    private var driftLeft: [Difference] { isSettled ? [] : drift(in: remaining) }

    /// The status after this pass.
    func status(at now: Timestamp) -> DeviceStatus {
        var status = view.status
        status.observedGeneration = view.record.generation
        status.link = link
        status.lastError = nil
        let reason = readiness?.reason.rawValue ?? "Pending"
        let message = readiness?.message ?? "there is something to do"
        switch outcome {
        case .failed(let reason): status.lastError = reason
        case .homeless(.unusable(let error)): status.lastError = error.description
        default: break
        }
        status.set(.ready, holds: isSettled, reason: reason, message: message, at: now)
        var isConflict = false
        if case .blocked(let obstacle) = outcome { isConflict = obstacle.isConflict }
        status.set(
            .conflict, holds: isConflict, reason: isConflict ? reason : "None",
            message: isConflict ? message : "nobody else is in the way", at: now)
        let left = driftLeft
        status.drift = left.map { difference in
            Drift(difference, since: view.status.drift.first { $0.difference == difference }?.since ?? now)
        }
        status.plannedSteps = left.isEmpty ? [] : withheldSteps
        status.set(
            .drifted, holds: !left.isEmpty, reason: left.isEmpty ? "None" : "KernelDiffers",
            message: left.isEmpty
                ? "the kernel has not been changed behind our back"
                : left.map(\.field.rawValue).joined(separator: ", "),
            at: now)
        return status
    }

    /// Why the device is or is not ready; `nil` before that is decided.
    private var readiness: (reason: EventReason, message: String)? {
        switch outcome {
        case .settled: (.converged, "the kernel matches the spec")
        case .blocked(let obstacle): (obstacle.reason, obstacle.message(for: view.record.name))
        case .homeless(.missing(let detail)):
            (
                .namespaceMissing,
                "the network namespace '\(view.record.spec.networkNamespace?.text ?? "")' is not there: \(detail). "
                    + "The device is made as soon as it is ('ip netns add')"
            )
        case .homeless(.unusable(let error)): (.namespaceUnusable, "\(error); it will be tried again")
        case .failed(let reason): (.stepFailed, reason + "; it will be tried again")
        case .open, .closed: nil
        }
    }

    /// What happened in this pass, for the history; nothing when it is what happened before.
    func events(_ status: DeviceStatus, at now: Timestamp) -> [EventRecord] {
        func event(
            _ reason: EventReason, _ message: String, _ severity: EventRecord.Severity = .normal,
            _ difference: FieldDifference? = nil
        ) -> EventRecord {
            EventRecord(
                at: now, device: view.record.name, severity: severity, reason: reason, message: message,
                difference: difference)
        }
        let repaired = repairs.map { difference in
            event(.driftRepaired, message(for: difference), .warning, FieldDifference(difference))
        }
        switch outcome {
        case .settled:
            if view.record.settledGeneration != view.record.generation {
                let index = link.map { " as interface \($0.index.rawValue)" } ?? ""
                return [event(.converged, "generation \(view.record.generation) is in the kernel\(index)")]
            }
            if repaired.isEmpty, found?.contains(where: { $0.field == .device }) == true {
                return [
                    event(.recreated, "the device did not exist on this boot, or in this namespace, and has been made")
                ]
            }
            return repaired
        case .blocked, .homeless, .failed:
            let fresh = status.drift.filter { drift in !view.status.drift.contains { $0.difference == drift.difference }
            }
            let found = fresh.map { drift in
                event(
                    .driftFound,
                    "\(drift.difference.field.rawValue) was \(drift.difference.field == .device ? "removed" : "changed") by somebody else",
                    .warning,
                    FieldDifference(drift.difference))
            }
            let old = view.status[.ready]
            guard let readiness, old?.reason != readiness.reason.rawValue || old?.message != readiness.message else {
                return repaired + found
            }
            return repaired + found + [event(readiness.reason, readiness.message, .warning)]
        case .open, .closed: return []
        }
    }

    private func message(for difference: Difference) -> String {
        guard difference.field == .device else {
            return "\(difference.field.rawValue) was changed by somebody else and has been put right"
        }
        let index = link.map { " as interface \($0.index.rawValue)" } ?? ""
        return "the device was removed by somebody else and has been made again\(index)"
    }
}
