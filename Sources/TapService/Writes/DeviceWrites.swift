internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// Statements about devices: decided within the transaction, against what is committed.
struct DeviceWrites: Sendable {
    let board: Board
    let writes: WriteQueue
    let accounts: any Accounts
    let features: KernelFeatures

    /// 202: it is stated, but not yet so.
    static let unreached = 202

    /// Decides in the writer's turn, commits, publishes, wakes the worker, and answers, perhaps after a wait.
    ///
    /// - Parameters:
    ///   - call: The request; it is answered here.
    ///   - name: The device's name.
    ///   - wait: How long the answer may wait for the goal.
    ///   - goal: What it waits for.
    ///   - decide: From the committed state of the device to its change.
    /// - Throws: `Problem.tooManyWrites`; every other problem becomes the answer.
    func submit(
        _ call: Call, _ name: DeviceName, wait: Duration?,
        goal: @escaping @Sendable (DeviceRecord) -> Board.Goal,
        decide: @escaping @Sendable (DeviceView?) throws(Problem) -> DeviceChange
    ) throws(Problem) {
        let endsLeases = try call.flag("force")
        try enqueue(call) { (group) throws(Problem) in
            let change = try decide(group.devices[name])
            let record = try group.commit([change], by: call.author, endingLeases: endsLeases).records[0]
            var status = 200
            if case .create = change { status = 201 }
            try Repetition(call)?.remember(Call.response(DeviceView(record: record), status: status), in: &group)
            return { [status] in answer(call, record, status: status, wait: wait, goal: goal(record)) }
        }
    }

    /// Has `turn` decide when it is this request's turn to write; what it returns answers when all is on the disk, and
    /// its problem becomes the answer. A request that was answered before (`Idempotency-Key`) is answered so again.
    func enqueue(
        _ call: Call, _ turn: @escaping @Sendable (inout WriteGroup) throws(Problem) -> WriteQueue.Completion
    ) throws(Problem) {
        let repetition = try Repetition(call)
        let write = WriteQueue.Write { (group) throws(Problem) in
            if let past = try repetition?.answer(in: group) { return { call.answer(past) } }
            return try turn(&group)
        } fail: {
            call.fail($0)
        }
        if !writes.add(write) { throw .tooManyWrites }
    }

    private func answer(
        _ call: Call, _ record: DeviceRecord, status: Int, wait: Duration?, goal: Board.Goal
    ) {
        var view = board.snapshot.devices[record.name] ?? DeviceView(record: record)
        // Another write of the group may have changed it since.
        if view.record.revision != record.revision { view = view.with(record: record) }
        guard let wait else {
            if case .gone = goal { return call.answer(view, status: Self.unreached) }
            return call.answer(view, status: status)
        }
        board.wait(for: [record.name: goal], atMost: wait) { [view] snapshot, isReached in
            call.answer(snapshot.devices[record.name] ?? view, status: isReached ? status : Self.unreached)
        }
    }

    /// Reads a document as a device.
    func input(_ document: JSONValue, name: DeviceName? = nil) throws(Problem) -> DeviceInput {
        let reading = issues(document, name: name)
        guard let input = reading.input else { throw .invalidDocument(InvalidDocument(reading.issues).issues) }
        return input
    }

    /// A device, or every mistake: what its document says wrong, and what this kernel cannot do.
    func issues(_ document: JSONValue, name: DeviceName? = nil) -> (input: DeviceInput?, issues: [FieldIssue]) {
        do throws(InvalidDocument) {
            let input = try DeviceInput(document, accounts: accounts, pathName: name)
            let refusals = features.refusals(of: input.spec)
            guard refusals.isEmpty else {
                return (nil, refusals.map { FieldIssue(pointer: $0.field.pointer, detail: $0.detail) })
            }
            return (input, [])
        } catch {
            return (nil, error.issues)
        }
    }
}
