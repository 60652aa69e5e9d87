internal import HashTreeCollections
package import TapCore
package import TapDocument
package import TapStore

/// Applies many devices in one transaction, all or nothing.
package struct Apply: Sendable {
    /// The longest time that a change may wait for confirmation.
    package static let confirmSecondsMax = 86_400

    let inbox: WorkerInbox
    let trials: Trials

    /// The parameters of an apply.
    package struct Options: Sendable {
        /// Decides only, and writes nothing.
        package var isDryRun = false
        /// The time after which the change is rolled back unless it is confirmed; `nil` keeps it without confirmation.
        package var confirmWithin: Duration?
        /// Whether devices may be recreated if a field changes that is fixed at creation.
        package var recreate = false
        /// Whether leases may end that the change is incompatible with.
        package var force = false

        package init() {}
    }

    /// The result of an apply.
    package struct Outcome: Sendable {
        /// What changes for each device, unchanged ones included.
        package let changes: [ChangedDevice]
        /// The device records after the apply; for a dry run, as they would be.
        package let records: [DeviceRecord]
        /// The database's revision after the apply; `nil` for a dry run.
        package let revision: Int?
        /// The pending confirmation; `nil` if none is required or nothing changed.
        package let trial: TrialRecord?
    }

    /// The change of one device of the document, or of one to prune.
    fileprivate struct Item {
        let before: DeviceRecord?
        let change: DeviceChange
        let isPruned: Bool
    }

    /// Decides and writes in the request's turn; a dry run writes nothing.
    ///
    /// - Parameters:
    ///   - inputs: The wanted devices.
    ///   - author: Recorded in the history.
    ///   - options: Dry run, confirmation, recreation and force.
    ///   - group: The transaction of the turn.
    ///   - prunes: Whether to delete a device that `inputs` does not name.
    /// - Returns: The outcome; the caller must call `committed` once the transaction is durable.
    /// - Throws: `Refusal` if a device cannot be changed as requested, a leased device would need `force`, or another
    ///   change waits for confirmation.
    package func write(
        _ inputs: [DeviceInput], by author: Author, _ options: Options, in group: inout WriteGroup,
        prunes: (DeviceRecord) -> Bool
    ) throws(Refusal) -> Outcome {
        let items = try decide(inputs, group.devices, recreate: options.recreate, prunes: prunes)
        let changes = items.map { ChangedDevice(name: $0.change.record.name, change: $0.kind) }
        if items.contains(where: \.change.isChange), let pending = try group.read({ try $0.pendingTrial() }) {
            throw .trialPending(revision: pending.revision)
        }
        // A refusal must come before this: a dry run is refused exactly when the request would be.
        guard !options.isDryRun else {
            try group.checkLeases(items.map(\.change), force: options.force)
            return Outcome(changes: changes, records: items.map(\.change.record), revision: nil, trial: nil)
        }
        let commit = try group.commit(items.map(\.change), by: author, force: options.force)
        let trial = options.confirmWithin.flatMap { time in
            commit.changed.isEmpty
                ? nil
                : TrialRecord(
                    revision: commit.revision, confirmBy: Timestamp.now().advanced(by: time),
                    devices: items.compactMap(\.trialDevice))
        }
        if let trial { try group.write { try $0.begin(trial) } }
        return Outcome(changes: changes, records: commit.records, revision: commit.revision, trial: trial)
    }

    /// Starts the timer of a pending confirmation. The caller calls it once the transaction is durable.
    package func committed(_ outcome: Outcome) {
        if let trial = outcome.trial { trials.begin(trial) }
    }

    /// Asks the worker for the steps that it would carry out, planned right after a full read of the kernel. Devices
    /// without steps or an obstacle are left out.
    ///
    /// - Parameters:
    ///   - outcome: The outcome of a dry run.
    ///   - reply: Called once; not called if this throws.
    /// - Throws: `Refusal.tooManyQuestions`.
    package func plan(
        _ outcome: Outcome, reply: @escaping @Sendable (Result<[DevicePlan], Refusal>) -> Void
    ) throws(Refusal) {
        let isAccepted = inbox.ask { survey in
            guard let survey else { return reply(.failure(.noLook)) }
            reply(.success(survey.plans(for: outcome.records).filter { !$0.steps.isEmpty || $0.obstacle != nil }))
        }
        if !isAccepted { throw .tooManyQuestions }
    }

    private func decide(
        _ inputs: [DeviceInput], _ devices: WriteGroup.Devices, recreate: Bool,
        prunes: (DeviceRecord) -> Bool
    ) throws(Refusal) -> [Item] {
        var items: [Item] = []
        items.reserveCapacity(inputs.count)
        var refused: [(place: Int, refusal: Refusal)] = []
        for (place, input) in inputs.enumerated() {
            let old = devices[input.name]
            do throws(Refusal) {
                let change = try DeviceChange.change(old, to: input, recreate: recreate)
                items.append(Item(before: old?.record, change: change, isPruned: false))
            } catch {
                refused.append((place, error))
            }
        }
        guard refused.isEmpty else { throw .applyRefused(refused) }
        let named = Set(inputs.map(\.name))
        let unnamed = devices.values.map(\.record).filter { record in
            !named.contains(record.name) && record.deletionRequestedAt == nil && prunes(record)
        }
        for record in unnamed.sorted(by: { $0.name < $1.name }) {
            items.append(Item(before: record, change: DeviceChange.deletion(of: record), isPruned: true))
        }
        return items
    }

    /// The goals to wait for until the kernel matches the devices.
    package static func goals(_ records: [DeviceRecord]) -> [DeviceName: Waiters.Goal] {
        var goals: [DeviceName: Waiters.Goal] = [:]
        for record in records {
            goals[record.name] = record.deletionRequestedAt == nil ? .ready(generation: record.generation) : .gone
        }
        return goals
    }
}

extension Apply.Item {
    fileprivate var kind: ChangedDevice.Change {
        switch change {
        case .create: .created
        case .update, .restore, .queues: .updated
        case .delete: .deleted
        case .nothing: .unchanged
        }
    }

    /// The state to roll back to; `nil` if the device does not change.
    fileprivate var trialDevice: TrialRecord.Device? {
        guard change.isChange else { return nil }
        let record = change.record
        return TrialRecord.Device(
            name: record.name, identifier: record.identifier, isPruned: isPruned,
            before: before.map { .init($0) })
    }
}
