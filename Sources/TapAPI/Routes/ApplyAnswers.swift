internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine

/// Answers requests that change many devices: an apply, and a rollback.
struct ApplyAnswers: Sendable {
    static let parameters: Set<String> = ["dryRun", "confirmWithin", "recreate", "force"]
    /// An answer names at most this many devices that are not Ready.
    private static let unreachedMax = 100

    let engine: Engine

    static func options(_ call: Call) throws(Problem) -> Apply.Options {
        var options = Apply.Options()
        options.isDryRun = try call.flag("dryRun")
        options.confirmWithin = try call.duration(
            "confirmWithin", in: .seconds(1)...(.seconds(Apply.confirmSecondsMax)))
        options.recreate = try call.flag("recreate")
        options.force = try call.flag("force")
        if options.isDryRun, options.confirmWithin != nil {
            throw .invalidParameter(name: "confirmWithin", detail: "cannot be combined with dryRun; omit one of them")
        }
        return options
    }

    /// Decides and writes within the transaction of a write group.
    ///
    /// - Parameters:
    ///   - inputs: The wanted devices.
    ///   - call: The request, which is answered here.
    ///   - options: The options from its query.
    ///   - wait: How long the answer may wait for the devices to be Ready; `nil` if it does not wait.
    ///   - group: The write group.
    ///   - idempotent: Stores the answer for a repeated request; `nil` without an `Idempotency-Key`.
    ///   - prunes: Whether to delete a device that `inputs` do not name.
    /// - Returns: A closure that answers, called after the commit.
    /// - Throws: `Refusal` if a device cannot be changed as requested.
    func write(
        _ inputs: [DeviceInput], _ call: Call, _ options: Apply.Options, wait: Duration?, in group: inout WriteGroup,
        _ idempotent: IdempotentRequest?, prunes: (DeviceRecord) -> Bool
    ) throws(Refusal) -> WriteQueue.Completion {
        let outcome = try engine.apply(inputs, by: call.author, options, in: &group, prunes: prunes)
        guard !options.isDryRun else { return { answerPlan(call, outcome) } }
        let answer = ApplyDocument(outcome)
        try idempotent?.remember(Call.response(json: answer.document, status: 200), in: &group)
        return {
            engine.committed(outcome)
            guard let wait else { return call.answer(json: answer.document) }
            let goals = Apply.goals(outcome.records)
            engine.wait(for: goals, atMost: wait) { snapshot, isReached in
                if isReached { return call.answer(json: answer.document) }
                var answer = answer
                answer.unreached = Self.unreached(goals, in: snapshot)
                call.answer(json: answer.document, status: DeviceWrites.unreached)
            }
        }
    }

    private func answerPlan(_ call: Call, _ outcome: Apply.Outcome) {
        do throws(Refusal) {
            try engine.plan(outcome) { result in
                switch result {
                case .success(let plans):
                    call.answer(json: ApplyDocument(outcome, plan: plans.map(PlanDocument.init)).document)
                case .failure(let refusal): call.fail(.refused(refusal))
                }
            }
        } catch {
            call.fail(.refused(error))
        }
    }

    /// Names of devices that have not reached their goal, sorted, at most `unreachedMax`.
    private static func unreached(_ goals: [DeviceName: Waiters.Goal], in snapshot: Snapshot) -> [DeviceName] {
        let names = goals.filter { name, goal in goal.isReached(by: snapshot.devices[name]) != true }.keys.sorted()
        return Array(names.prefix(unreachedMax))
    }
}

extension ApplyDocument {
    fileprivate init(_ outcome: Apply.Outcome, plan: [PlanDocument]? = nil) {
        self.init(
            revision: outcome.revision, changes: outcome.changes, plan: plan, confirmBy: outcome.trial?.confirmBy)
    }
}
