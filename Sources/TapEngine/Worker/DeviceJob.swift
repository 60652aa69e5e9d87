internal import TapCore
internal import TapStore
internal import TapSystem

/// One device on its way through a pass: what is found, planned and done, round by round. A state machine without
/// prose; `JobReport` puts the outcome into words. `Batch` calls, in each round: `take`, `finishSteps`, `commit`,
/// `endRound`.
final class DeviceJob {
    enum Outcome: Equatable {
        /// There is something to do.
        case open
        case settled
        case blocked(Obstacle)
        /// The namespace cannot be entered.
        case namespaceUnavailable(NamespaceFailure)
        case failed(Failure)
        /// The device is gone and forgotten.
        case closed
    }

    enum Failure: Equatable {
        /// The spec names what this host no longer has.
        case invalid(ValidationError)
        case kernel(KernelError)
        case store(StoreError)
        /// All steps succeeded, and these fields still differ when read back.
        case stillDifferent([DeviceField])
    }

    let view: DeviceView
    /// What proves that an interface is the device's: at first the record's, then the one that this job commits.
    private(set) var claim: Claim?
    /// The interface that this round touches; `nil` when it touches none, or when the round is over.
    private(set) var index: LinkIndex?
    /// Where the plan is to be done.
    private(set) var namespace: NamespaceState?
    private(set) var outcome = Outcome.open
    private(set) var link: ObservedLink?
    private(set) var steps: [Step] = []
    /// What would be done about a device that is left alone.
    private(set) var withheldSteps: [Step] = []
    /// What the first look found, before anything was done; `nil` until then.
    private(set) var found: [Difference]?
    /// What is still so at the end.
    private(set) var remaining: [Difference] = []
    /// The processes that hold a busy device open, as far as they are known.
    private(set) var holders: [DescriptorHolder] = []

    /// - Parameters:
    ///   - view: The device.
    ///   - claim: The record's own, except to see what would be done without it.
    init(_ view: DeviceView, claim: Claim?) {
        self.view = view
        self.claim = claim
    }

    var name: DeviceName { view.record.name }
    var isOpen: Bool { if case .open = outcome { true } else { false } }
    var isClosed: Bool { if case .closed = outcome { true } else { false } }
    var isSettled: Bool { if case .settled = outcome { true } else { false } }
    /// Whether there was nothing to do, and there is nothing to report.
    var isUneventful: Bool {
        let status = view.status
        return isSettled && found?.isEmpty == true && view.record.settledGeneration == view.record.generation
            && status.observedGeneration == view.record.generation && status.isReady && status.link == link
    }
    /// Whether it failed because another process has the device open, as far as one can tell.
    var isBusy: Bool {
        switch outcome {
        case .failed(.stillDifferent): true
        case .failed(.kernel(let error)): error.errno == .busy
        default: false
        }
    }
    var deletes: Bool { isOpen && steps == [.delete] }
    var forgets: Bool { isOpen && steps == [.forget] }

    var stepsBeforeClaim: ArraySlice<Step> { deletes ? [] : steps.prefix { !$0.isForStore } }
    var stepsAfterClaim: ArraySlice<Step> { steps.drop { !$0.isForStore }.dropFirst() }

    /// What the plan has written to the database once the steps before it are done; `nil` when it is no part of the
    /// plan.
    var claimToCommit: Claim? {
        guard isOpen, let index, let namespace else { return nil }
        for case .claim(let settings) in steps {
            return Claim(host: namespace.observed.host, namespace: namespace.location, index: index, settings: settings)
        }
        return nil
    }

    // MARK: Transitions

    /// Begins a round.
    ///
    /// - Parameters:
    ///   - decision: What to do.
    ///   - namespace: Where; `nil` when there is nothing to do in the kernel.
    ///   - link: The device's interface as it is now.
    ///   - isLastRound: Whether there is no further round in which the decision could be carried out.
    func take(_ decision: Decision, at namespace: NamespaceState?, link: ObservedLink?, isLastRound: Bool) {
        self.link = link
        self.namespace = namespace
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
            addFound(differences)
            if isLastRound {
                fail(.stillDifferent(differences.map(\.field)))
            } else {
                self.steps = steps
                self.index = index
            }
        }
    }

    /// What others change while we repair is their doing too. A device that we make is not yet as wanted, and that is
    /// not.
    private func addFound(_ differences: [Difference]) {
        let known = found ?? []
        guard !known.contains(where: { $0.field == .device }) else { return }
        found = known + differences.filter { new in !known.contains { $0.field == new.field } }
    }

    /// The kernel has done steps, all or up to a failure; a `create` among them made the interface.
    func finishSteps(_ run: StepRun) {
        index = run.index
        if let failure = run.failure { fail(.kernel(failure)) }
    }

    /// The claim is in the database.
    func commit(_ claim: Claim) {
        self.claim = claim
        namespace?.own(claim.index, name)
        namespace?.trustSettings(of: claim.index)
    }

    func fail(_ failure: Failure) {
        remaining = found ?? []
        outcome = .failed(failure)
    }

    /// The namespace cannot be entered.
    func leave(_ failure: NamespaceFailure) {
        (namespace, link) = (nil, nil)
        outcome = .namespaceUnavailable(failure)
    }

    /// The device is gone and forgotten.
    func close() { outcome = .closed }

    /// What was touched has been read back.
    func endRound() { if !isOpen { index = nil } }

    func setHolders(_ holders: [DescriptorHolder]) { self.holders = holders }
}
