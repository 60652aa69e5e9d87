internal import Dispatch
internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapSystem

/// Changes that must be confirmed in time, or are rolled back. All but the timer runs in the writer's turns.
final class Trials: Sendable {
    private struct Pending {
        let revision: Int
        let confirmBy: Timestamp

        var microsecondsLeft: Int { Int(max(0, confirmBy.microseconds - Timestamp.now().microseconds)) }
    }

    private static let retrySeconds = 1
    private static let author = Author(name: "tapster", source: "timer", request: "")

    private let writes: WriteQueue
    private let pending = Mutex<Pending?>(nil)
    private let timer = DeadlineTimer()

    /// Resumes the pending change that an earlier process left.
    ///
    /// - Throws: `StoreError` if the database cannot be read.
    init(store: Store, writes: WriteQueue) throws(StoreError) {
        self.writes = writes
        timer.onTime { [weak self] in self?.expire() }
        if let trial = try store.pendingTrial() { begin(trial) }
    }

    /// Starts the timer of a change whose transaction is durable.
    func begin(_ trial: TrialRecord) {
        pending.withLock { $0 = Pending(revision: trial.revision, confirmBy: trial.confirmBy) }
        timer.schedule(after: .microseconds(pending.withLock { $0?.microsecondsLeft ?? 0 }))
    }

    /// Confirms a change; does nothing if it is confirmed already.
    ///
    /// - Throws: `Refusal` if there is no such change, or it was rolled back.
    func confirm(_ revision: Int, by author: Author, in group: inout WriteGroup) throws(Refusal) {
        let trial = try Self.trial(revision, in: group)
        guard trial.state != .confirmed else { return }
        guard trial.state == .pending else { throw .trialEnded(revision: revision, state: trial.state) }
        try group.write { try $0.end(revision, .confirmed) }
        group.record(
            EventRecord(
                at: .now(), device: nil, reason: .confirmed, message: "change \(revision) was confirmed",
                author: author))
    }

    /// Rolls a change back; does nothing if that is done already. Devices that have been changed since are
    /// skipped, with an event.
    ///
    /// - Returns: The devices that it has rolled back; if that was done before, all devices of the change
    ///   that still exist.
    /// - Throws: `Refusal` if there is no such change, or it was confirmed.
    @discardableResult
    func rollBack(
        _ revision: Int, because reason: String, by author: Author, in group: inout WriteGroup
    ) throws(Refusal) -> [DeviceRecord] {
        let trial = try Self.trial(revision, in: group)
        guard trial.state != .rolledBack else {
            return trial.devices.compactMap { group.devices[$0.name]?.record }
        }
        guard trial.state == .pending else { throw .trialEnded(revision: revision, state: trial.state) }
        var changes: [DeviceChange] = []
        var events: [EventRecord] = []
        for device in trial.devices {
            switch device.reversal(group.devices[device.name]?.record, since: revision) {
            case .change(let change): changes.append(change)
            case .none: break
            case .overtaken(let reason):
                events.append(
                    EventRecord(
                        at: .now(), device: device.name, severity: .warning, reason: .rollbackSkipped,
                        message: "change \(revision) was rolled back, but not for this device: \(reason)"))
            }
        }
        let commit = try group.commit(changes, by: author, force: true)
        events.append(
            EventRecord(
                at: .now(), device: nil, severity: .warning, reason: .rolledBack,
                message:
                    "change \(revision) was rolled back for "
                    + "\(changes.count) device\(changes.count == 1 ? "" : "s"): \(reason)",
                author: author,
                revision: commit.changed.isEmpty ? nil : commit.revision))
        try group.write { try $0.end(revision, .rolledBack) }
        for event in events { group.record(event) }
        return commit.changed
    }

    /// Reports that the confirmation or rollback of a change is durable.
    func ended(_ revision: Int) {
        pending.withLock { if $0?.revision == revision { $0 = nil } }
    }

    private static func trial(_ revision: Int, in group: borrowing WriteGroup) throws(Refusal) -> TrialRecord {
        guard let trial = try group.read({ try $0.trial(revision) }) else { throw .trialNotFound(String(revision)) }
        return trial
    }

    /// Rolls the change back when its time is over, unless it was confirmed or rolled back before.
    private func expire() {
        guard let (revision, left) = pending.withLock({ $0.map { ($0.revision, $0.microsecondsLeft) } }) else { return }
        // The timer may have been set for an earlier trial.
        guard left <= 0 else { return timer.schedule(after: .microseconds(left)) }
        let write = WriteQueue.Write { [self] (group) throws(Refusal) in
            try rollBack(revision, because: "it was not confirmed in time", by: Self.author, in: &group)
            return { self.ended(revision) }
        } fail: { [self] refusal in
            // The change was confirmed or rolled back before; or the database failed, and the rollback is tried again.
            if case .store = refusal { timer.schedule(after: .seconds(Self.retrySeconds)) } else { ended(revision) }
        }
        let isAccepted = writes.add(write)
        if !isAccepted { timer.schedule(after: .seconds(Self.retrySeconds)) }
    }
}

extension TrialRecord.Device {
    fileprivate enum Reversal {
        case change(DeviceChange)
        /// Nothing is to be rolled back.
        case none
        /// The device has been changed since; the text says why it cannot be rolled back.
        case overtaken(String)
    }

    /// The change from the device's current state to that before the pending change.
    fileprivate func reversal(_ current: DeviceRecord?, since revision: Int) -> Reversal {
        guard let current else {
            // A pruned device may already be gone; a device that was deleted by another request stays deleted.
            guard let before else { return .none }
            guard isPruned else { return .overtaken("it has been deleted since") }
            var record = DeviceRecord(
                name: name, identifier: identifier, labels: before.labels, spec: before.spec,
                createdAt: before.createdAt)
            record.assignments = before.assignments
            record.disabledQueues = before.disabledQueues
            return .change(.restore(record))
        }
        guard current.identifier == identifier, current.revision == revision else {
            return .overtaken("it has been changed since")
        }
        guard let before else { return .change(DeviceChange.deletion(of: current)) }
        if let (queue, assignment) = current.assignments(beyond: before.spec.queues).first {
            return .overtaken("its queue \(queue) was assigned to '\(assignment.consumer)' since")
        }
        return .change(reversal(of: current, to: before))
    }

    private func reversal(of current: DeviceRecord, to before: TrialRecord.Before) -> DeviceChange {
        var record = current
        // A new generation also if only the deletion is undone.
        if record.spec != before.spec || record.deletionRequestedAt != nil {
            let fixed = before.spec.immutableFieldsDiffering(from: record.spec)
            record.beginGeneration(before.spec)
            if !fixed.isEmpty { record.recreateGeneration = record.generation }
            // The worker may have deleted the interface, which is not drift.
            if record.deletionRequestedAt != nil { record.reachedSpec = nil }
        }
        // Restores only the `disabled` marks that the change removed; others may have been changed since.
        record.disabledQueues = current.disabledQueues
            .union(before.disabledQueues.filter { !current.spec.queues.canDisable($0) })
            .filter(before.spec.queues.canDisable)
        record.labels = before.labels
        record.deletionRequestedAt = nil
        record.updatedAt = max(.now(), record.updatedAt)
        return current.deletionRequestedAt == nil ? .update(record, from: current) : .restore(record)
    }
}
