internal import TapCore
internal import TapDocument
internal import TapStore

/// One device on its way through a pass.
struct Job {
    enum Outcome: Equatable {
        /// There is something to do.
        case open
        case settled
        case blocked(Obstacle)
        case failed(String)
        /// The device is gone and forgotten.
        case closed
    }

    let view: DeviceView
    var claim: Claim?
    var index: LinkIndex?
    private(set) var outcome = Outcome.open
    private(set) var link: ObservedLink?
    private var steps: [Step] = []
    /// What the first look found, before anything was done.
    private var found: [Difference]?
    private let host: HostIdentity

    init(_ view: DeviceView, host: HostIdentity) {
        self.view = view
        self.host = host
        claim = view.record.claim
    }

    var isOpen: Bool { outcome == .open }
    var isClosed: Bool { outcome == .closed }
    var isSettled: Bool { outcome == .settled }

    var stepsBeforeClaim: ArraySlice<Step> { steps.prefix { !$0.isForStore } }
    var stepsAfterClaim: ArraySlice<Step> { steps.drop { !$0.isForStore }.dropFirst() }
    var forgets: Bool { steps == [.forget] }

    var settingsToClaim: DescriptorSettings? {
        for case .claim(let settings) in steps { return settings }
        return nil
    }

    mutating func take(_ decision: Decision, link: ObservedLink?, isLastRound: Bool) {
        self.link = link
        steps = []
        switch decision {
        case .settled:
            found = found ?? []
            outcome = .settled
        case .blocked(let obstacle): outcome = .blocked(obstacle)
        case .act(let steps, let differences, let index):
            // A device that went while it was put right counts as missing, whatever was wrong with it before.
            if case .create = steps.first { found = differences }
            found = found ?? differences
            if isLastRound {
                let fields = differences.map(\.field.rawValue).joined(separator: ", ")
                fail(
                    "read back after the change and still different: \(fields); somebody else may hold the device open")
            } else {
                self.steps = steps
                self.index = index
            }
        }
    }

    mutating func fail(_ reason: String) { outcome = .failed(reason) }
    mutating func close() { outcome = .closed }

    // MARK: What to tell

    /// Differences on a device whose present spec had been reached before: somebody else's doing.
    private var drift: [Difference] {
        let record = view.record
        guard record.settledGeneration == record.generation, record.deletionRequestedAt == nil,
            // After a reboot, or in another namespace, a missing device is nobody's doing.
            record.claim?.host == host
        else { return [] }
        // A carrier follows the consumers, and our anchors end with the daemon: neither is a stranger's doing.
        return (found ?? []).filter { $0.field != .anchor && $0.field != .carrier }
    }

    /// Drift that this pass has put right.
    var repairs: [Difference] { isSettled ? drift : [] }

    /// The status after this pass.
    func status(at now: Timestamp) -> DeviceStatus {
        var status = view.status
        status.observedGeneration = view.record.generation
        status.link = link
        status.lastError = nil
        var conflict: String?
        var conflictReason = "None"
        switch outcome {
        case .settled:
            status.set(.ready, holds: true, reason: "Converged", message: "the kernel matches the spec", at: now)
        case .blocked(let obstacle):
            conflict = obstacle.message(for: view.record.name)
            conflictReason = obstacle.reason
            status.set(
                .ready, holds: false, reason: "Conflict", message: obstacle.message(for: view.record.name), at: now)
        case .failed(let reason):
            status.lastError = reason
            status.set(
                .ready, holds: false, reason: "StepFailed", message: reason + "; it will be tried again", at: now)
        case .open, .closed: break
        }
        status.set(
            .conflict, holds: conflict != nil, reason: conflictReason,
            message: conflict ?? "no other interface is in the way", at: now)
        let remaining = isSettled ? [] : drift
        status.drift = remaining.map { difference in
            Drift(difference, since: view.status.drift.first { $0.difference == difference }?.since ?? now)
        }
        status.set(
            .drifted, holds: !remaining.isEmpty, reason: remaining.isEmpty ? "None" : "KernelDiffers",
            message: remaining.isEmpty
                ? "the kernel has not been changed behind our back"
                : remaining.map(\.field.rawValue).joined(separator: ", "),
            at: now)
        return status
    }

    /// What happened in this pass, for the history; nothing when it is what happened before.
    func events(_ status: DeviceStatus, at now: Timestamp) -> [EventRecord] {
        let name = view.record.name
        func event(
            _ reason: String, _ message: String, _ severity: EventRecord.Severity = .normal,
            _ difference: EventDifference? = nil
        ) -> EventRecord {
            EventRecord(
                at: now, device: name, severity: severity, reason: reason, message: message, difference: difference)
        }
        switch outcome {
        case .settled:
            if view.record.settledGeneration != view.record.generation {
                let index = link.map { " as interface \($0.index.rawValue)" } ?? ""
                return [event("Converged", "generation \(view.record.generation) is in the kernel\(index)")]
            }
            if drift.isEmpty, found?.contains(where: { $0.field == .device }) == true {
                return [event("Recreated", "the device did not exist on this boot and has been made")]
            }
            return drift.map { difference in
                event("DriftRepaired", message(for: difference), .warning, EventDifference(difference))
            }
        case .blocked(let obstacle):
            return view.status[.conflict]?.holds == true
                ? [] : [event("Conflict", obstacle.message(for: name), .warning)]
        case .failed(let reason):
            return view.status.lastError == reason ? [] : [event("StepFailed", reason, .warning)]
        case .open, .closed: return []
        }
    }
}

extension Job {
    private func message(for difference: Difference) -> String {
        guard difference.field == .device else {
            return "\(difference.field.rawValue) was changed by somebody else and has been put right"
        }
        let index = link.map { " as interface \($0.index.rawValue)" } ?? ""
        return "the device was removed by somebody else and has been made again\(index)"
    }
}

extension Step {
    /// Done by the store, not by the kernel.
    fileprivate var isForStore: Bool {
        switch self {
        case .claim, .forget: true
        default: false
        }
    }
}

extension Obstacle {
    /// One word for machines.
    var reason: String {
        switch self {
        case .foreignDevice: "ForeignDevice"
        case .immutable: "ImmutableField"
        }
    }

    /// What is in the way, and what to do.
    func message(for name: DeviceName) -> String {
        switch self {
        case .foreignDevice(let kind, let index):
            "an interface '\(name)' (number \(index.rawValue), kind \(kind ?? "none")) exists that Tapster did not "
                + "make; it is left alone. Remove it ('ip link del \(name)') or give the device another name"
        case .immutable(let fields):
            "the interface's \(fields.map(\.rawValue).joined(separator: ", ")) cannot be changed while it exists; "
                + "delete the device and create it again"
        }
    }
}

extension EventDifference {
    fileprivate init(_ difference: Difference) {
        self.init(
            field: difference.field.rawValue, wanted: difference.wanted.document,
            observed: difference.observed.document)
    }
}
