internal import TapCore
internal import TapStore
internal import TapSystem

/// One device in a pass: what is found, planned and done in each round. A state machine without texts; `JobReport`
/// describes the outcome. In each round `Batch` calls `beginRound`, `finishSteps`, `commit` and `endRound`.
final class DeviceJob {
    enum Outcome: Equatable {
        /// There are steps to carry out.
        case open
        /// The kernel matches the spec.
        case settled
        /// Nothing is done until the obstacle is gone.
        case blocked(Obstacle)
        /// The namespace cannot be opened.
        case namespaceUnavailable(NamespaceFailure)
        case failed(Failure)
        /// The device is deleted, also from the database.
        case closed
    }

    enum Failure: Equatable {
        /// The spec names an account that no longer exists.
        case invalid(ValidationError)
        case kernel(KernelError)
        case store(StoreError)
        /// All steps succeeded, but these fields still differ when read back.
        case stillDifferent([DeviceField])
    }

    let view: DeviceView
    /// The proof that an interface is the device's: the record's claim, later the one that this job commits.
    private(set) var claim: Claim?
    /// The interface that this round changes; `nil` if it changes none, or the round has ended.
    private(set) var index: LinkIndex?
    /// Where the steps are carried out.
    private(set) var namespace: NamespaceState?
    private(set) var outcome = Outcome.open
    /// The device's interface as last observed; `nil` if there is none.
    private(set) var link: ObservedLink?
    /// Whether programs can use the spec's addresses.
    private(set) var addressUse: AddressUse
    /// Whether addresses were added again that could not be used.
    private(set) var renewsAddresses = false
    /// The steps of this round.
    private(set) var steps: [Step] = []
    /// The steps that would repair a device that is not repaired.
    private(set) var withheldSteps: [Step] = []
    /// What the steps of all rounds change for others that use the same bridge.
    private(set) var bridgeEffects: [BridgeEffect] = []
    /// What the steps of all rounds have set again on the port of a bridge.
    private(set) var portSettings: [BridgePortSetting] = []
    /// The differences before anything was changed; `nil` until the first decision.
    private(set) var found: [Difference]?
    /// The differences that are left.
    private(set) var remaining: [Difference] = []
    /// The processes that hold a busy device open, as far as the daemon can find them.
    private(set) var holders: [DescriptorHolder] = []
    /// Whether a request has its interface made anew, so that a missing one is no drift.
    private(set) var isReplacement = false
    /// The device's stray queues that last; `nil` if there are none.
    private(set) var strayQueues: StrayQueues?
    /// Whether an event may say that stray queues have appeared, have been attached, or are gone.
    private(set) var mayTellOfStrays = false
    /// Where the device's interface was moved to; `nil` if it was not.
    private(set) var move: Move?

    /// An interface that another process has moved to another namespace.
    struct Move: Equatable {
        let place: LinkMove
        /// Whether it has been deleted there.
        var isDeleted = false
        /// Why it could not be deleted.
        var failure: KernelError?
    }

    /// - Parameters:
    ///   - view: The device.
    ///   - claim: The record's claim; `nil` to plan as if there were none.
    init(_ view: DeviceView, claim: Claim?) {
        self.view = view
        self.claim = claim
        addressUse = Self.useWithoutInterface(of: view)
    }

    private static func useWithoutInterface(of view: DeviceView) -> AddressUse {
        let addresses = view.record.spec.link.addresses
        return addresses.isEmpty ? .usable : .missing(addresses)
    }

    var name: DeviceName { view.record.name }
    var isOpen: Bool { if case .open = outcome { true } else { false } }
    /// Whether the kernel has matched this generation before.
    private var isReached: Bool { view.record.settledGeneration == view.record.generation }
    var isClosed: Bool { if case .closed = outcome { true } else { false } }
    var isSettled: Bool { if case .settled = outcome { true } else { false } }
    /// Whether the kernel matches the spec, and steers packets to no stranger.
    var isUsable: Bool { isSettled && (strayQueues?.attached ?? 0) == 0 }
    /// Whether nothing was done and there is nothing to report.
    var isUneventful: Bool {
        let status = view.status
        return isSettled && found?.isEmpty == true && view.record.settledGeneration == view.record.generation
            && status.observedGeneration == view.record.generation && status.isReady == isReady
            && status.link == link && status.strayQueues == strayQueues
            && status[.addressesUsable]?.message == addressUse.message
            && (link?.controller == nil || status[.ready]?.message == settledMessage)
    }
    /// Whether the kernel matches the spec, steers packets to no stray queue, and the addresses can be used.
    var isReady: Bool { isUsable && addressUse.isReady }
    /// Whether it probably failed because another process has the device open.
    var isBusy: Bool {
        switch outcome {
        case .failed(.stillDifferent): true
        case .failed(.kernel(let error)): error.errno == .busy
        default: false
        }
    }
    var deletes: Bool { isOpen && steps == [.delete] }
    var forgets: Bool { isOpen && steps == [.forget] }
    var creates: Bool { if isOpen, case .create = steps.first { true } else { false } }

    var stepsBeforeClaim: ArraySlice<Step> { deletes ? [] : steps.prefix { !$0.isForStore } }
    var stepsAfterClaim: ArraySlice<Step> { steps.drop { !$0.isForStore }.dropFirst() }

    /// The claim to commit between the two groups of steps; `nil` if the plan has none.
    var claimToCommit: Claim? {
        guard isOpen, let index, let namespace else { return nil }
        for case .claim(let settings) in steps {
            return Claim(
                host: namespace.observed.host, namespace: namespace.location, index: index,
                inode: inode(of: index, at: namespace), settings: settings)
        }
        return nil
    }

    private func inode(of index: LinkIndex, at namespace: NamespaceState) -> UInt64? {
        // A new interface may get the number that an earlier one had in another namespace.
        if !creates, let claim, !claim.isLost, claim.index == index, claim.host == namespace.observed.host,
            let inode = claim.inode
        {
            return inode
        }
        return namespace.kernel.inode(of: ObservedLink(index: index, name: name.text), expecting: nil)
    }

    // MARK: Transitions

    /// Begins a round.
    ///
    /// - Parameters:
    ///   - decision: What to do.
    ///   - namespace: Where to do it; `nil` if nothing is done in the kernel.
    ///   - link: The device's interface now.
    ///   - addressUse: Whether programs can use its addresses; `nil` if that does not matter any more.
    ///   - isLastRound: Whether no round is left to verify the decision's steps.
    func beginRound(
        _ decision: Decision, at namespace: NamespaceState?, link: ObservedLink?,
        addressUse: AddressUse? = nil, isLastRound: Bool
    ) {
        self.link = link
        if let addressUse { self.addressUse = addressUse }
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
            // If the device was deleted during its repair, it counts as missing, regardless of earlier differences.
            if case .create = steps.first { found = differences }
            addFound(differences)
            if isLastRound {
                fail(.stillDifferent(differences.map(\.field)))
            } else {
                self.steps = steps
                self.index = index
                if differences.isEmpty, !steps.isEmpty { renewsAddresses = true }
                if let namespace { bridgeEffects += steps.bridgeEffects(on: link, in: namespace.observed) }
                for case .restorePort(let settings) in steps { portSettings += settings }
            }
        }
    }

    /// Adds differences found in later rounds: external changes during a repair count as drift too. Differences of a
    /// newly created device do not.
    private func addFound(_ differences: [Difference]) {
        let known = found ?? []
        guard !known.contains(where: { $0.field == .device }) else { return }
        found = known + differences.filter { new in !known.contains { $0.field == new.field } }
    }

    /// Ends a group of steps, completed or failed; a `create` among them has set the interface.
    func finishSteps(_ run: StepRun) {
        index = run.index
        guard let failure = run.failure else { return }
        if case .attach? = run.steps.dropFirst(run.done).first, failure.errno == .busy, isReached,
            found?.allSatisfy(\.field.isSetByConsumers) == true
        {
            // A consumer has the only queue. What it sets is set again when it has gone.
            outcome = .settled
        } else if failure.errno == .notSupported, let controller = leftController(run) {
            remaining = found ?? []
            outcome = .blocked(.controllerHeld(controller.name, kind: controller.kind))
        } else {
            fail(.kernel(failure))
        }
    }

    /// The controller that the step which failed would have left; `nil` if it would have left none.
    private func leftController(_ run: StepRun) -> ObservedLink? {
        guard case .setLink(let change) = run.steps[run.done], change.controller != nil else { return nil }
        return link?.controller.flatMap { namespace?.observed[$0] }
    }

    /// Notes that the claim is in the database.
    func commit(_ claim: Claim) {
        self.claim = claim
        namespace?.own(claim.index, name)
        namespace?.prove(claim.index)
        namespace?.trustSettings(of: claim.index)
    }

    func fail(_ failure: Failure) {
        remaining = found ?? []
        outcome = .failed(failure)
    }

    /// Ends the job, since the namespace cannot be opened.
    func setNamespaceUnavailable(_ failure: NamespaceFailure) {
        (namespace, link) = (nil, nil)
        addressUse = Self.useWithoutInterface(of: view)
        outcome = .namespaceUnavailable(failure)
    }

    /// Ends the job, since the device is deleted.
    func close() { outcome = .closed }

    /// Ends a round, after the interface has been read back.
    func endRound() { if !isOpen { index = nil } }

    func noteReplacement() { isReplacement = true }

    /// Notes where the interface was moved to.
    func setMove(_ move: Move) { self.move = move }

    func setHolders(_ holders: [DescriptorHolder]) { self.holders = holders }

    /// - Parameters:
    ///   - strays: The device's stray queues; `nil` if there are none.
    ///   - mayTell: Whether an event may say what has changed.
    func setStrayQueues(_ strays: StrayQueues?, mayTell: Bool) {
        strayQueues = strays
        mayTellOfStrays = mayTell
    }
}
