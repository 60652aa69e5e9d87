internal import TapCore
internal import TapDocument
internal import TapStore

/// What a finished job comes to for those who read: the status, the history's events, and the drift that was repaired.
/// Computed from the job alone; nothing is changed.
struct JobReport {
    /// The status after this pass.
    let status: DeviceStatus
    /// What happened in this pass, for the history; empty when it is what happened before.
    let events: [EventRecord]
    /// Drift that this pass has put right.
    let repairs: [Difference]
    /// The generation that is in the kernel since this pass; `nil` when there is none, or when that was known.
    let settledGeneration: Int?

    /// - Parameters:
    ///   - job: A job that no round of its batch will change any more.
    ///   - now: The time of the events, and of conditions that turned.
    init(_ job: DeviceJob, at now: Timestamp) {
        let record = job.view.record
        let isSettledAnew = job.isSettled && record.settledGeneration != record.generation
        repairs = job.repairs
        status = job.status(at: now)
        events = job.events(status, repairs: repairs, at: now)
        settledGeneration = isSettledAnew ? record.generation : nil
    }

    /// What readers shall see; `nil` when they see it already.
    func update(of view: DeviceView) -> WorkerUpdate? {
        guard settledGeneration != nil || status != view.status else { return nil }
        var update = WorkerUpdate(view, status: status)
        update.settledGeneration = settledGeneration
        return update
    }
}

// MARK: Drift

extension DeviceJob {
    /// Whether the present spec had been reached here: what differs now is the doing of others.
    private var wasReached: Bool {
        let record = view.record
        return record.settledGeneration == record.generation && record.deletionRequestedAt == nil
            // After a reboot, or in a namespace made anew, a missing device is no drift.
            && record.claim?.host == namespace?.observed.host
    }

    private func drift(in differences: [Difference]) -> [Difference] {
        guard wasReached else { return [] }
        // With the daemon end its anchors, and with them a carrier that they kept.
        let hasLostAnchor = found?.contains { $0.field == .anchor } == true
        return differences.filter {
            view.record.spec.isExternalDrift($0) && !(hasLostAnchor && $0.field == .carrier)
        }
    }

    /// Drift that this pass has put right.
    fileprivate var repairs: [Difference] {
        switch outcome {
        case .settled: drift(in: found ?? [])
        // What was not withheld has been done before.
        case .blocked: drift(in: found ?? []).filter { old in !remaining.contains { $0.field == old.field } }
        case .open, .failed, .namespaceUnavailable, .closed: []
        }
    }

    /// Drift that is still there.
    private var driftLeft: [Difference] { isSettled ? [] : drift(in: remaining) }
}

// MARK: In words

extension DeviceJob {
    /// The status after this pass.
    fileprivate func status(at now: Timestamp) -> DeviceStatus {
        var status = view.status
        status.observedGeneration = view.record.generation
        status.link = link
        status.lastError = nil
        let reason = readiness?.reason.rawValue ?? "Pending"
        let message = readiness?.message ?? "there is something to do"
        switch outcome {
        case .failed(let failure): status.lastError = self.message(for: failure)
        case .namespaceUnavailable(.unusable(let error)): status.lastError = error.description
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
        case .namespaceUnavailable(.missing(let detail)):
            (
                .namespaceMissing,
                "the network namespace '\(view.record.spec.networkNamespace?.text ?? "")' is not there: \(detail). "
                    + "The device is made as soon as it is ('ip netns add')"
            )
        case .namespaceUnavailable(.unusable(let error)): (.namespaceUnusable, "\(error); it will be tried again")
        case .failed(let failure): (.stepFailed, message(for: failure) + "; it will be tried again")
        case .open, .closed: nil
        }
    }

    /// - Parameters:
    ///   - status: After this pass.
    ///   - repairs: Drift that it has put right.
    ///   - now: The events' time.
    /// - Returns: What happened, in order; empty when it is what happened before.
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
        case .blocked, .namespaceUnavailable, .failed:
            let fresh = status.drift.map(\.difference).filter { difference in
                !view.status.drift.contains { $0.difference == difference }
            }
            let found = fresh.map { difference in
                let what = difference.field == .device ? "removed" : "changed"
                return event(
                    .driftFound, "\(difference.field.rawValue) was \(what) by somebody else", .warning,
                    FieldDifference(difference))
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

    private func message(for failure: Failure) -> String {
        let message = failure.message
        guard !holders.isEmpty else { return message }
        let list = holders.map { "pid \($0.process) (\($0.command))" }.joined(separator: ", ")
        return "\(message); held open by \(list)"
    }
}

extension DeviceJob.Failure {
    /// What went wrong, for people.
    package var message: String {
        switch self {
        case .invalid(let error): error.detail
        case .kernel(let error): error.description
        case .store(let error): error.description
        case .stillDifferent(let fields):
            "read back after the change and still different: " + fields.map(\.rawValue).joined(separator: ", ")
        }
    }
}
