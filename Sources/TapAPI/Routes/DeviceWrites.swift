internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine

/// Requests that write: decided within the transaction, against what is committed, and answered when it is on the disk.
struct DeviceWrites: Sendable {
    let engine: Engine

    /// 202: it is committed, but the kernel does not match it yet.
    static let unreached = 202

    /// Decides in the writer's turn, commits, publishes, wakes the worker, and answers, perhaps after a wait.
    ///
    /// - Parameters:
    ///   - call: The request; it is answered here.
    ///   - name: The device's name.
    ///   - wait: How long the answer may wait for the goal.
    ///   - goal: What it waits for.
    ///   - decide: From the committed state of the device to its change.
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

    /// Has `turn` decide when it is this request's turn to write; what it returns answers when all is on the disk, and
    /// its refusal becomes the answer. A request that was answered before (`Idempotency-Key`) is answered so again.
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
        // Another write of the group may have changed it since.
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
