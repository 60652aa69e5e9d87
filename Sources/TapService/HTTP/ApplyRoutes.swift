internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// `/v1/apply`: many devices in one transaction, all or nothing.
struct ApplyRoutes: Sendable {
    /// The longest trial.
    static let confirmSecondsMax = 86_400
    static let devicesMax = 10_000

    let board: Board
    let queue: WorkQueue
    let writes: DeviceWrites
    let trials: Trials

    var routes: [Route] {
        [
            Route(
                "POST", "/v1/apply",
                parameters: ["dryRun", "prune", "labelSelector", "confirmWithin", "recreate", "force", "wait"],
                handler: apply),
            Route("POST", "/v1/apply/{revision}/confirm", handler: confirm),
            Route("DELETE", "/v1/apply/{revision}", handler: rollBack),
        ]
    }

    /// What the query says.
    private struct Options {
        let isDryRun: Bool
        let prunes: Bool
        let selector: LabelSelector?
        let confirmWithin: Duration?
        let mayRecreate: Bool
        let endsLeases: Bool
        let wait: Duration?

        init(_ call: Call) throws(Problem) {
            isDryRun = try call.flag("dryRun")
            prunes = try call.flag("prune")
            selector = try call.labelSelector()
            confirmWithin = try call.duration("confirmWithin", in: .seconds(1)...(.seconds(confirmSecondsMax)))
            mayRecreate = try call.flag("recreate")
            endsLeases = try call.flag("force")
            wait = try call.wait()
            if selector != nil, !prunes {
                throw .invalidParameter(
                    name: "labelSelector", detail: "says what prune may delete; add prune=true, or leave it out")
            }
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

    @Sendable private func apply(_ call: Call) throws(Problem) {
        let options = try Options(call)
        // Large documents are read in the writer's turn too: a connection's thread serves many.
        try writes.enqueue(call) { (group) throws(Problem) in
            let items = try decide(try self.inputs(try call.document()), options, group.devices)
            return options.isDryRun ? { answerPlan(call, items) } : try commit(call, items, options, in: &group)
        }
    }

    // MARK: Decide

    /// The devices of the document; every mistake in all of them comes in one answer.
    private func inputs(_ document: JSONValue) throws(Problem) -> [DeviceInput] {
        guard case .object(let members) = document else {
            throw .invalidDocument([FieldIssue(pointer: "", detail: "must be an object, found \(document.kind)")])
        }
        var issues = members.keys.filter { $0 != "devices" }.sorted().map { key in
            FieldIssue(pointer: "/\(key)", detail: "is not a field of this object; known is devices")
        }
        guard case .array(let documents)? = members["devices"] else {
            issues.append(FieldIssue(pointer: "/devices", detail: "must be an array of devices"))
            throw .invalidDocument(issues)
        }
        guard documents.count <= Self.devicesMax else {
            throw .invalidDocument([
                FieldIssue(
                    pointer: "/devices", detail: "has \(documents.count) devices; \(Self.devicesMax) are allowed")
            ])
        }
        var inputs: [DeviceInput] = []
        inputs.reserveCapacity(documents.count)
        var places: [DeviceName: Int] = [:]
        for (place, document) in documents.enumerated() {
            let reading = writes.issues(document)
            issues += reading.issues.map {
                FieldIssue(pointer: "/devices/\(place)\($0.pointer)", detail: $0.detail)
            }
            guard let input = reading.input else { continue }
            if let other = places.updateValue(place, forKey: input.name) {
                issues.append(
                    FieldIssue(
                        pointer: "/devices/\(place)/metadata/name",
                        detail: "'\(input.name)' is named by /devices/\(other) already"))
            }
            inputs.append(input)
        }
        guard issues.isEmpty else { throw .invalidDocument(issues) }
        return inputs
    }

    private func decide(
        _ inputs: [DeviceInput], _ options: Options, _ devices: WriteGroup.Devices
    ) throws(Problem) -> [Item] {
        var items: [Item] = []
        var refused: [(place: Int, problem: Problem)] = []
        for (place, input) in inputs.enumerated() {
            let old = devices[input.name]
            do throws(Problem) {
                let change = try DeviceChange.change(old, to: input, mayRecreate: options.mayRecreate)
                items.append(Item(before: old?.record, change: change, isPruned: false))
            } catch {
                refused.append((place, error))
            }
        }
        guard refused.isEmpty else { throw .applyRefused(refused) }
        guard options.prunes else { return items }
        let named = Set(inputs.map(\.name))
        let unnamed = devices.values.map(\.record).filter { record in
            !named.contains(record.name) && record.deletionRequestedAt == nil
                && options.selector?.matches(record.labels) ?? true
        }
        return items
            + unnamed.sorted { $0.name < $1.name }.map { record in
                Item(before: record, change: DeviceChange.deletion(of: record), isPruned: true)
            }
    }

    // MARK: Answer

    /// The very plan that the worker would run: the worker makes it, right after a look at the kernel.
    private func answerPlan(_ call: Call, _ items: [Item]) {
        let changes = Self.document(items)
        let isTaken = queue.ask { survey in
            guard let survey else { return call.fail(.noLook) }
            let plans = survey.plans(for: items.map(\.change.record))
                .filter { !$0.steps.isEmpty || $0.obstacle != nil }
            call.answer(json: [
                "revision": .null, "changes": changes, "plan": .array(plans.map(\.document)), "confirmBy": .null,
            ])
        }
        if !isTaken { call.fail(.tooManyQuestions) }
    }

    private func commit(
        _ call: Call, _ items: [Item], _ options: Options, in group: inout WriteGroup
    ) throws(Problem) -> WriteQueue.Completion {
        if items.contains(where: \.change.isChange), let pending = try group.read({ try $0.pendingTrial() }) {
            throw .trialPending(revision: pending.revision)
        }
        let commit = try group.commit(items.map(\.change), endingLeases: options.endsLeases)
        let trial = options.confirmWithin.flatMap { time in
            commit.changed.isEmpty
                ? nil
                : TrialRecord(
                    revision: commit.revision, confirmBy: Timestamp.now().advanced(by: time),
                    devices: items.compactMap(\.trialDevice))
        }
        if let trial { try group.write { try $0.begin(trial) } }
        return {
            if let trial { trials.begin(trial) }
            answer(call, items, options, commit, trial)
        }
    }

    private func answer(
        _ call: Call, _ items: [Item], _ options: Options, _ commit: WriteGroup.Commit, _ trial: TrialRecord?
    ) {
        let answer: JSONValue = [
            "revision": .string(String(commit.revision)), "changes": Self.document(items), "plan": .null,
            "confirmBy": JSONValue(trial?.confirmBy.text),
        ]
        guard let wait = options.wait else { return call.answer(json: answer) }
        var goals: [DeviceName: Board.Goal] = [:]
        for (item, record) in zip(items, commit.records) {
            goals[record.name] = item.isPruned ? .gone : .ready(generation: record.generation)
        }
        board.wait(for: goals, atMost: wait) { _, isReached in
            call.answer(json: answer, status: isReached ? 200 : DeviceWrites.unreached)
        }
    }

    private static func document(_ items: [Item]) -> JSONValue {
        .array(
            items.map { item in
                let name = JSONValue.string(item.change.record.name.text)
                return ["name": name, "change": .string(item.word)]
            })
    }

    // MARK: Trials

    @Sendable private func confirm(_ call: Call) throws(Problem) {
        let revision = try Self.revision(call)
        try writes.enqueue(call) { (group) throws(Problem) in
            try trials.confirm(revision, in: &group)
            return { end(call, revision) }
        }
    }

    @Sendable private func rollBack(_ call: Call) throws(Problem) {
        let revision = try Self.revision(call)
        try writes.enqueue(call) { (group) throws(Problem) in
            try trials.rollBack(revision, because: "somebody asked for it", in: &group)
            return { end(call, revision) }
        }
    }

    private func end(_ call: Call, _ revision: Int) {
        trials.ended(revision)
        call.answer(HTTPResponse(status: 204))
    }

    private static func revision(_ call: Call) throws(Problem) -> Int {
        let text = call.request.head.segments[2]
        guard let revision = Int(text), revision > 0, String(revision) == text else { throw .trialNotFound(text) }
        return revision
    }
}

extension ApplyRoutes.Item {
    fileprivate var word: String {
        switch change {
        case .create: "created"
        case .update, .restore, .queues: "updated"
        case .delete: "deleted"
        case .nothing: "unchanged"
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
