internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// Statements about many devices in one transaction, all or nothing.
struct Statements: Sendable {
    /// The longest trial.
    static let confirmSecondsMax = 86_400
    /// Of devices that are not so yet, those that an answer names.
    private static let unreachedMax = 100

    let board: Board
    let queue: WorkQueue
    let trials: Trials

    /// What the query says.
    struct Options {
        let isDryRun: Bool
        let confirmWithin: Duration?
        let mayRecreate: Bool
        let endsLeases: Bool
        let wait: Duration?

        static let parameters: Set<String> = ["dryRun", "confirmWithin", "recreate", "force"]

        init(_ call: Call) throws(Problem) {
            isDryRun = try call.flag("dryRun")
            confirmWithin = try call.duration("confirmWithin", in: .seconds(1)...(.seconds(confirmSecondsMax)))
            mayRecreate = try call.flag("recreate")
            endsLeases = try call.flag("force")
            wait = try call.wait()
            if isDryRun, confirmWithin != nil {
                throw .invalidParameter(name: "confirmWithin", detail: "has no meaning with dryRun; leave one out")
            }
        }
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
    ///   - inputs: What the devices shall be.
    ///   - call: The request, which is answered here.
    ///   - options: What its query says.
    ///   - group: The turn.
    ///   - prunes: Whether a device that `inputs` do not name shall be deleted.
    /// - Returns: What answers.
    /// - Throws: `Problem` when one of them cannot be so.
    func write(
        _ inputs: [DeviceInput], _ call: Call, _ options: Options, in group: inout WriteGroup,
        prunes: (DeviceRecord) -> Bool
    ) throws(Problem) -> WriteQueue.Completion {
        let items = try decide(inputs, group.devices, mayRecreate: options.mayRecreate, prunes: prunes)
        return options.isDryRun ? { answerPlan(call, items) } : try commit(call, items, options, in: &group)
    }

    private func decide(
        _ inputs: [DeviceInput], _ devices: WriteGroup.Devices, mayRecreate: Bool,
        prunes: (DeviceRecord) -> Bool
    ) throws(Problem) -> [Item] {
        var items: [Item] = []
        items.reserveCapacity(inputs.count)
        var refused: [(place: Int, problem: Problem)] = []
        for (place, input) in inputs.enumerated() {
            let old = devices[input.name]
            do throws(Problem) {
                let change = try DeviceChange.change(old, to: input, mayRecreate: mayRecreate)
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

    /// The very plan that the worker would run: the worker makes it, right after a look at the kernel.
    private func answerPlan(_ call: Call, _ items: [Item]) {
        let changes = items.map(\.changed)
        let isTaken = queue.ask { survey in
            guard let survey else { return call.fail(.noLook) }
            let plans = survey.plans(for: items.map(\.change.record))
                .filter { !$0.steps.isEmpty || $0.obstacle != nil }
            let answer = ApplyDocument(revision: nil, changes: changes, plan: plans.map(PlanDocument.init))
            call.answer(json: answer.document)
        }
        if !isTaken { call.fail(.tooManyQuestions) }
    }

    private func commit(
        _ call: Call, _ items: [Item], _ options: Options, in group: inout WriteGroup
    ) throws(Problem) -> WriteQueue.Completion {
        if items.contains(where: \.change.isChange), let pending = try group.read({ try $0.pendingTrial() }) {
            throw .trialPending(revision: pending.revision)
        }
        let commit = try group.commit(items.map(\.change), by: call.author, endingLeases: options.endsLeases)
        let trial = options.confirmWithin.flatMap { time in
            commit.changed.isEmpty
                ? nil
                : TrialRecord(
                    revision: commit.revision, confirmBy: Timestamp.now().advanced(by: time),
                    devices: items.compactMap(\.trialDevice))
        }
        if let trial { try group.write { try $0.begin(trial) } }
        let answer = ApplyDocument(
            revision: commit.revision, changes: items.map(\.changed), confirmBy: trial?.confirmBy)
        try Repetition(call)?.remember(Call.response(json: answer.document, status: 200), in: &group)
        return {
            if let trial { trials.begin(trial) }
            guard let wait = options.wait else { return call.answer(json: answer.document) }
            let goals = Self.goals(commit.records)
            board.wait(for: goals, atMost: wait) { snapshot, isReached in
                if isReached { return call.answer(json: answer.document) }
                var answer = answer
                answer.unreached = Self.unreached(goals, in: snapshot)
                call.answer(json: answer.document, status: DeviceWrites.unreached)
            }
        }
    }

    /// What there is to wait for until devices are as they are stated.
    static func goals(_ records: [DeviceRecord]) -> [DeviceName: Board.Goal] {
        var goals: [DeviceName: Board.Goal] = [:]
        for record in records {
            goals[record.name] = record.deletionRequestedAt == nil ? .ready(generation: record.generation) : .gone
        }
        return goals
    }

    /// The first of those that are not as they are stated.
    private static func unreached(_ goals: [DeviceName: Board.Goal], in snapshot: Snapshot) -> [DeviceName] {
        let names = goals.filter { name, goal in goal.isReached(by: snapshot.devices[name]) != true }.keys.sorted()
        return Array(names.prefix(unreachedMax))
    }
}

extension Statements.Item {
    fileprivate var changed: ChangedDevice {
        let kind: ChangedDevice.Change =
            switch change {
            case .create: .created
            case .update, .restore, .queues: .updated
            case .delete: .deleted
            case .nothing: .unchanged
            }
        return ChangedDevice(name: change.record.name, change: kind)
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
