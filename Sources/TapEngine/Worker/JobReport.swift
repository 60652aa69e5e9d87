internal import TapCore
internal import TapDocument
internal import TapStore

/// The results of a finished job: the status, events for the history, and repaired drift. Computed from the job alone,
/// without side effects.
struct JobReport {
    /// The status after this pass.
    let status: DeviceStatus
    /// The events of this pass; empty if nothing has changed since the previous one.
    let events: [EventRecord]
    /// Drift that this pass has repaired.
    let repairs: [Difference]
    /// The generation that reached the kernel in this pass; `nil` if none did, or if it was there already.
    let settledGeneration: Int?

    /// - Parameters:
    ///   - job: A finished job.
    ///   - now: The time of events and of changed conditions.
    init(_ job: DeviceJob, at now: Timestamp) {
        let record = job.view.record
        let isSettledAnew =
            (job.isSettled || job.leavesOnlyReportedDrift) && record.settledGeneration != record.generation
        repairs = job.repairs
        status = job.status(at: now)
        events = job.events(status, repairs: repairs, at: now) + job.strayEvents(at: now)
        settledGeneration = isSettledAnew ? record.generation : nil
    }

    /// The update to publish; `nil` if the published view is current.
    func update(of view: DeviceView) -> WorkerUpdate? {
        guard settledGeneration != nil || status != view.status else { return nil }
        var update = WorkerUpdate(view, status: status)
        update.settledGeneration = settledGeneration
        return update
    }
}

// MARK: Drift

extension DeviceJob {
    /// Whether an earlier pass had brought the current spec into the kernel: differences are then external changes.
    private var wasReached: Bool {
        let record = view.record
        return record.settledGeneration == record.generation && record.deletionRequestedAt == nil && !isReplacement
            // After a reboot, or in a recreated namespace, a missing device is not drift.
            && record.claim?.host == namespace?.observed.host
    }

    /// The fields that are left as they are, since drift is only reported.
    private var reportedFields: [DeviceField] {
        if case .blocked(.reportOnly(let fields)) = outcome { fields } else { [] }
    }

    /// Whether all that the generation changes is in the kernel, and what differs is drift that is only reported.
    fileprivate var leavesOnlyReportedDrift: Bool {
        link != nil && !reportedFields.isEmpty && remaining.allSatisfy { reportedFields.contains($0.field) }
    }

    private func drift(in differences: [Difference]) -> [Difference] {
        guard wasReached else { return differences.filter { reportedFields.contains($0.field) } }
        // When the daemon ends, its anchors end, and with them a carrier that they kept up.
        let hasLostAnchor = found?.contains { $0.field == .anchor } == true
        return differences.filter {
            view.record.spec.isExternalDrift($0) && !(hasLostAnchor && $0.field == .carrier)
        }
    }

    /// Drift that this pass has repaired.
    fileprivate var repairs: [Difference] {
        switch outcome {
        case .settled: drift(in: found ?? [])
        // Drift that is not among the remaining differences has been repaired before the obstacle was met.
        case .blocked: drift(in: found ?? []).filter { old in !remaining.contains { $0.field == old.field } }
        case .open, .failed, .namespaceUnavailable, .closed: []
        }
    }

    /// Drift that is left.
    private var driftLeft: [Difference] { isSettled ? [] : drift(in: remaining) }
}

// MARK: Status and events

extension DeviceJob {
    /// The status after this pass.
    fileprivate func status(at now: Timestamp) -> DeviceStatus {
        var status = view.status
        status.observedGeneration = view.record.generation
        status.link = link
        status.lastError = nil
        let readiness = keepsDuplicate ? (.duplicateAddress, view.status[.ready]?.message ?? "") : readiness
        let reason = readiness?.reason.rawValue ?? "Pending"
        let message = readiness?.message ?? "changes are pending"
        switch outcome {
        case .failed(let failure): status.lastError = self.message(for: failure)
        case .namespaceUnavailable(.unusable(let error)): status.lastError = error.description
        default: break
        }
        status.set(.ready, holds: isReady, reason: reason, message: message, at: now)
        if !keepsDuplicate {
            status.set(
                .addressesUsable, holds: addressUse == .usable, reason: addressUse.reason, message: addressUse.message,
                at: now)
        }
        status.strayQueues = strayQueues
        status.set(
            .strayQueues, holds: strayQueues != nil,
            reason: strayQueues == nil ? "None" : EventReason.strayQueues.rawValue,
            message: strayMessage ?? "there are no stray queues", at: now)
        var isConflict = false
        if case .blocked(let obstacle) = outcome { isConflict = obstacle.isConflict }
        status.set(
            .conflict, holds: isConflict, reason: isConflict ? reason : "None",
            message: isConflict ? message : "there is no conflict", at: now)
        let left = driftLeft
        status.drift = left.map { difference in
            Drift(difference, since: view.status.drift.first { $0.difference == difference }?.since ?? now)
        }
        status.plannedSteps = left.isEmpty ? [] : withheldSteps
        status.set(
            .drifted, holds: !left.isEmpty, reason: left.isEmpty ? "None" : "KernelDiffers",
            message: left.isEmpty
                ? "there are no external changes"
                : left.map(\.field.rawValue).joined(separator: ", "),
            at: now)
        return status
    }

    /// Whether addresses that another host had are tried again: until that has an outcome, the status stays.
    private var keepsDuplicate: Bool {
        guard isSettled, case .detecting = addressUse else { return false }
        return view.status.observedGeneration == view.record.generation && wasDuplicate
    }

    /// Whether another host had an address in the previous pass.
    private var wasDuplicate: Bool { view.status[.addressesUsable]?.reason == EventReason.duplicateAddress.rawValue }

    /// What is said of a device that is ready, with what it decides for others that use its bridge.
    var settledMessage: String {
        let effects = namespace.flatMap { namespace in link?.effectsOnBridge(in: namespace.observed) } ?? []
        return (["the kernel matches the spec"] + effects).joined(separator: "; ")
    }

    /// Why the device is or is not ready; `nil` while the job is open.
    private var readiness: (reason: EventReason, message: String)? {
        switch outcome {
        case .settled where !isUsable: (.strayQueues, strayMessage ?? "")
        case .settled:
            switch addressUse {
            case .usable, .waitingForCarrier, .missing: (.converged, settledMessage)
            case .detecting: (.detectingDuplicates, addressUse.message)
            case .duplicate: (.duplicateAddress, addressUse.message)
            }
        case .blocked(let obstacle): (obstacle.reason, obstacle.message(for: view.record.name))
        case .namespaceUnavailable(.missing(let detail)):
            (
                .namespaceMissing,
                "network namespace '\(view.record.spec.networkNamespace?.text ?? "")' does not exist: \(detail). "
                    + "The device is created as soon as the namespace exists ('ip netns add')"
            )
        case .namespaceUnavailable(.unusable(let error)): (.namespaceUnusable, "\(error); Tapster will try again")
        case .failed(let failure): (.stepFailed, message(for: failure) + "; Tapster will try again")
        case .open, .closed: nil
        }
    }

    /// - Parameters:
    ///   - status: The status after this pass.
    ///   - repairs: Drift that this pass has repaired.
    ///   - now: The time of the events.
    /// - Returns: The events in order; empty if nothing has changed since the previous pass.
    fileprivate func events(
        _ status: DeviceStatus, repairs: [Difference], at now: Timestamp
    ) -> [EventRecord] {
        func event(
            _ reason: EventReason, _ message: String, _ severity: EventRecord.Severity = .normal,
            _ difference: FieldDifference? = nil
        ) -> EventRecord {
            EventRecord(
                at: now, device: view.record.name, severity: severity, reason: reason, message: message,
                difference: difference)
        }
        let repaired =
            repairs.map { difference in
                event(.driftRepaired, message(for: difference), .warning, FieldDifference(difference))
            } + portEvents(at: now)
        switch outcome {
        case .settled:
            let addresses = addressEvent.map { [event($0.reason, $0.message, $0.severity)] } ?? []
            if view.record.settledGeneration != view.record.generation {
                let index = link.map { " as interface \($0.index.rawValue)" } ?? ""
                return [event(.converged, "generation \(view.record.generation) is in the kernel\(index)")] + addresses
                    + portEvents(at: now)
            }
            if repaired.isEmpty, found?.contains(where: { $0.field == .device }) == true {
                let index = link.map { " as interface \($0.index.rawValue)" } ?? ""
                return [
                    event(
                        .recreated,
                        isReplacement
                            ? "the interface was deleted and made anew\(index), since a request asked for it"
                            : "the device was missing after a boot or in a new namespace, and was created")
                ] + addresses
            }
            return repaired + addresses
        case .blocked, .namespaceUnavailable, .failed:
            let fresh = status.drift.map(\.difference).filter { difference in
                !view.status.drift.contains { $0.difference == difference }
            }
            let found = fresh.map { difference in
                event(.driftFound, messageAboutFound(difference), .warning, FieldDifference(difference))
            }
            let old = view.status[.ready]
            guard let readiness, old?.reason != readiness.reason.rawValue || old?.message != readiness.message else {
                return repaired + found
            }
            return repaired + found + [event(readiness.reason, readiness.message, .warning)]
        case .open, .closed: return []
        }
    }

    private var strayMessage: String? { strayQueues?.message(for: view.record.spec) }

    /// The event that stray queues have appeared, or are gone.
    fileprivate func strayEvents(at now: Timestamp) -> [EventRecord] {
        let name = view.record.name
        switch (view.status.strayQueues, strayQueues) {
        case (_, .some) where mayTellOfStrays:
            return [
                EventRecord(
                    at: now, device: name, severity: .warning, reason: .strayQueues, message: strayMessage ?? "")
            ]
        case (.some, nil) where mayTellOfStrays:
            return [
                EventRecord(at: now, device: name, reason: .strayQueuesGone, message: "the stray queues are gone")
            ]
        default: return []
        }
    }

    /// What to tell about the addresses of a settled device; `nil` if nothing is new.
    private var addressEvent: (reason: EventReason, message: String, severity: EventRecord.Severity)? {
        switch addressUse {
        case .duplicate where !wasDuplicate: (.duplicateAddress, addressUse.message, .warning)
        case .usable where wasDuplicate:
            (.addressesUsable, "no other host has an address of the device any more", .normal)
        default: nil
        }
    }

    /// What has changed for others that use the bridge; what has been set again on its port, and what could not be.
    private func portEvents(at now: Timestamp) -> [EventRecord] {
        var events: [EventRecord] = []
        func add(_ reason: EventReason, _ severity: EventRecord.Severity, _ message: String) {
            events.append(
                EventRecord(
                    at: now, device: view.record.name, severity: severity, reason: reason, message: message))
        }
        if let namespace {
            for effect in bridgeEffects where effect.hasHappened(in: namespace.observed) {
                add(.bridgeChanged, .warning, "as the device joined or left: \(effect)")
            }
        }
        guard let link, link.controller != nil else { return events }
        let others = "what other programs had set on the port"
        let restored = portSettings.filter(link.bridgePort.contains).map(\.description)
        if !restored.isEmpty {
            add(.portRestored, .normal, "\(others) was set again: \(restored.joined(separator: ", "))")
        }
        let lost = portSettings.filter { !link.bridgePort.contains($0) }.map(\.description)
        if !lost.isEmpty {
            add(.portNotRestored, .warning, "\(others) could not be set again: \(lost.joined(separator: ", "))")
        }
        return events
    }

    private func message(for difference: Difference) -> String {
        guard difference.field == .device else {
            return "\(difference.field.rawValue) was changed outside Tapster and has been repaired"
        }
        let index = link.map { " as interface \($0.index.rawValue)" } ?? ""
        guard let move else { return "the device was removed outside Tapster and has been created again\(index)" }
        return "the device \(move.message). It has been created again\(index)"
    }

    private func messageAboutFound(_ difference: Difference) -> String {
        if difference.field == .device, let move { return "the device \(move.message)" }
        let what = difference.field == .device ? "removed" : "changed"
        return "\(difference.field.rawValue) was \(what) outside Tapster"
    }

    private func message(for failure: Failure) -> String {
        let message = failure.message
        guard !holders.isEmpty else { return message }
        return "\(message); held open by \(holders.map(\.summary).joined(separator: ", "))"
    }
}

extension DeviceJob.Move {
    /// What has happened to the device, and what to do if its interface is still there.
    package var message: String {
        let what = "was moved outside Tapster to network namespace \(place.namespace) of 'ip netns list-id'"
        if isDeleted { return what + ", and deleted there" }
        let rest = failure.map { "could not be deleted there (\($0))" } ?? "may still be there"
        return what + ", and \(rest), as interface \(place.index.rawValue); delete it or move it back"
    }
}

extension DeviceJob.Failure {
    /// Describes the failure.
    package var message: String {
        switch self {
        case .invalid(let error): error.detail
        case .kernel(let error): error.description
        case .store(let error): error.description
        case .stillDifferent(let fields):
            "still different when read back after the change: " + fields.map(\.rawValue).joined(separator: ", ")
        }
    }
}

extension WorkerUpdate {
    init(_ view: DeviceView, status: DeviceStatus? = nil, claim: Claim? = nil) {
        self.init(name: view.record.name, identifier: view.record.identifier, status: status, claim: claim)
    }
}
