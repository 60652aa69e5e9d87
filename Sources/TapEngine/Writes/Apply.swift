internal import HashTreeCollections
package import TapCore
package import TapDocument
package import TapStore

/// Many devices in one transaction, all or nothing.
package struct Apply: Sendable {
    /// The longest trial.
    package static let confirmSecondsMax = 86_400

    let inbox: WorkerInbox
    let trials: Trials

    package struct Options: Sendable {
        /// Nothing is committed.
        package var isDryRun = false
        /// How long the change waits to be confirmed before it is taken back; `nil` keeps it.
        package var confirmWithin: Duration?
        /// Whether devices may be recreated for fields that are fixed at creation.
        package var recreate = false
        /// Whether leases may end that cannot go on.
        package var force = false

        package init() {}
    }

    /// What an apply came to.
    package struct Outcome: Sendable {
        package let changes: [ChangedDevice]
        /// The devices as they are wanted now; for a dry run, as they would be.
        package let records: [DeviceRecord]
        /// `nil` for a dry run.
        package let revision: Int?
        /// The trial that begins with the commit.
        package let trial: TrialRecord?
    }

    /// Decided for one device of the document, or for one that it does not name.
    fileprivate struct Item {
        let before: DeviceRecord?
        let change: DeviceChange
        let isPruned: Bool
    }

    /// Decides and writes in the request's turn; a dry run writes nothing.
    ///
    /// - Parameters:
    ///   - inputs: The wanted devices.
    ///   - author: For the history.
    ///   - options: How.
    ///   - group: The turn.
    ///   - prunes: Whether a device that `inputs` do not name shall be deleted.
    /// - Returns: What it comes to; `committed` follows when the transaction is on the disk.
    /// - Throws: `Refusal` when one of them cannot be so.
    package func write(
        _ inputs: [DeviceInput], by author: Author, _ options: Options, in group: inout WriteGroup,
        prunes: (DeviceRecord) -> Bool
    ) throws(Refusal) -> Outcome {
        let items = try decide(inputs, group.devices, recreate: options.recreate, prunes: prunes)
        let changes = items.map { ChangedDevice(name: $0.change.record.name, change: $0.kind) }
        guard !options.isDryRun else {
            return Outcome(changes: changes, records: items.map(\.change.record), revision: nil, trial: nil)
        }
        if items.contains(where: \.change.isChange), let pending = try group.read({ try $0.pendingTrial() }) {
            throw .trialPending(revision: pending.revision)
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

    /// To be called when the transaction is on the disk.
    package func committed(_ outcome: Outcome) {
        if let trial = outcome.trial { trials.begin(trial) }
    }

    /// The very plans that the worker would run: the worker makes them, right after a look at the kernel. Devices for
    /// which there is nothing to do have none.
    ///
    /// - Parameters:
    ///   - outcome: Of a dry run.
    ///   - reply: Called once, unless this throws.
    /// - Throws: `Refusal.tooManyQuestions`.
    package func plan(
        _ outcome: Outcome, reply: @escaping @Sendable (Result<[DevicePlan], Refusal>) -> Void
    ) throws(Refusal) {
        let isTaken = inbox.ask { survey in
            guard let survey else { return reply(.failure(.noLook)) }
            reply(.success(survey.plans(for: outcome.records).filter { !$0.steps.isEmpty || $0.obstacle != nil }))
        }
        if !isTaken { throw .tooManyQuestions }
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

    /// What there is to wait for until devices are as they are stated.
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

    /// What to go back to; nothing where nothing changes.
    fileprivate var trialDevice: TrialRecord.Device? {
        guard change.isChange else { return nil }
        let record = change.record
        return TrialRecord.Device(
            name: record.name, identifier: record.identifier, isPruned: isPruned,
            before: before.map { .init($0) })
    }
}
