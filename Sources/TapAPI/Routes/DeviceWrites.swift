internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine

/// Write requests: decided within the transaction, against the committed state, and answered after the commit.
struct DeviceWrites: Sendable {
    let engine: Engine

    /// 202: the change is committed, but the kernel does not match it yet.
    static let unreached = 202

    /// Decides within the transaction, commits, publishes, wakes the worker, and answers, after a wait if requested.
    ///
    /// - Parameters:
    ///   - call: The request, which is answered here.
    ///   - name: The device.
    ///   - wait: How long the answer may wait for the goal; `nil` if it does not wait.
    ///   - goal: The state to wait for.
    ///   - decide: Derives the change from the committed state of the device (`nil` if there is none).
    /// - Throws: `Refusal.tooManyWrites`; every other refusal becomes the answer.
    func submit(
        _ call: Call, _ name: DeviceName, wait: Duration?,
        goal: @escaping @Sendable (DeviceRecord) -> Waiters.Goal,
        decide: @escaping @Sendable (DeviceView?) throws(Refusal) -> DeviceChange
    ) throws(Problem) {
        let force = try call.flag("force")
        try enqueue(call) { (group, idempotent) throws(Refusal) in
            let change = try decide(group.devices[name])
            let record = try group.commit([change], by: call.author, force: force).records[0]
            var status = 200
            if case .create = change { status = 201 }
            try idempotent?.remember(Call.response(DeviceView(record: record), status: status), in: &group)
            return { [status] in answer(call, record, status: status, wait: wait, goal: goal(record)) }
        }
    }

    /// Queues `turn` for the writer. The closure that it returns is called after the commit; its refusal becomes the
    /// answer. A repeated request (`Idempotency-Key`) gets its earlier answer, without a call of `turn`.
    ///
    /// - Throws: `Problem.invalidHeader`, `Refusal.tooManyWrites`.
    func enqueue(
        _ call: Call,
        _ turn:
            @escaping @Sendable (
                inout WriteGroup, _ idempotent: IdempotentRequest?
            ) throws(Refusal) -> WriteQueue.Completion
    ) throws(Problem) {
        let idempotent = try IdempotentRequest(call)
        try refusing { () throws(Refusal) in
            try engine.write { (group) throws(Refusal) in
                if let past = try idempotent?.answer(in: group) { return { call.answer(HTTPResponse(past)) } }
                return try turn(&group, idempotent)
            } fail: {
                call.fail(.refused($0))
            }
        }
    }

    private func answer(
        _ call: Call, _ record: DeviceRecord, status: Int, wait: Duration?, goal: Waiters.Goal
    ) {
        var view = engine.snapshot.devices[record.name] ?? DeviceView(record: record)
        // A later write of the same group may have changed the device already.
        if view.record.revision != record.revision { view = view.with(record: record) }
        guard let wait else {
            if case .gone = goal { return call.answer(view, status: Self.unreached) }
            return call.answer(view, status: status)
        }
        engine.wait(for: [record.name: goal], atMost: wait) { [view] snapshot, isReached in
            call.answer(snapshot.devices[record.name] ?? view, status: isReached ? status : Self.unreached)
        }
    }
}
