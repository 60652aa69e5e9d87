internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine

/// Queues and their assignments.
struct QueueRoutes: Sendable {
    let engine: Engine
    let writes: DeviceWrites

    var routes: [Route] {
        let queues = "/v1/devices/{name}/queues"
        return [
            Route("GET", queues, .view, handler: list),
            Route("GET", queues + "/{index}", .view, handler: read),
            Route("PATCH", queues + "/{index}", .operate, parameters: ["force"], handler: patch),
            Route("GET", queues + "/{index}/assignment", .view, handler: readAssignment),
            Route("PUT", queues + "/{index}/assignment", .operate, handler: assign),
            Route("DELETE", queues + "/{index}/assignment", .operate, handler: release),
            Route("POST", "/v1/devices/{name}/assignments", .operate, handler: assignFree),
            Route("GET", "/v1/assignments", .view, parameters: ["consumer"], handler: listAssignments),
        ]
    }

    // MARK: Read

    @Sendable private func list(_ call: Call) throws(Problem) {
        let view = try call.device(in: engine.snapshot)
        call.answer(json: ItemList(view.record.queues.map { QueueDocument($0, of: view) }).document)
    }

    @Sendable private func read(_ call: Call) throws(Problem) {
        let view = try call.device(in: engine.snapshot)
        let index = try refusing { () throws(Refusal) in try Self.index(call, of: view.record) }
        call.answer(json: QueueDocument(index, of: view).document, unless: view.record.entityTag(of: index))
    }

    @Sendable private func readAssignment(_ call: Call) throws(Problem) {
        let record = try call.device(in: engine.snapshot).record
        let index = try refusing { () throws(Refusal) in try Self.index(call, of: record) }
        guard let assignment = record.assignments[index] else {
            throw .refused(.assignmentNotFound(record.name, queue: index))
        }
        call.answer(json: assignment.document, unless: assignment.entityTag)
    }

    @Sendable private func listAssignments(_ call: Call) throws(Problem) {
        let consumer = try call.consumer()
        let records = engine.snapshot.devices.values.map(\.record).filter { !$0.assignments.isEmpty }
        let items = records.sorted { $0.name < $1.name }.flatMap { record in
            record.assignments.filter { consumer == nil || $0.value.consumer == consumer }.keys.sorted()
                .compactMap { record.assignedQueue($0) }
        }
        call.answer(json: ItemList(items).document)
    }

    // MARK: Write

    @Sendable private func patch(_ call: Call) throws(Problem) {
        let patch = try call.input(["application/merge-patch+json", "application/json"]) {
            (document) throws(InvalidDocument) in try QueuePatch(document)
        }
        let force = try call.flag("force")
        try change(call) { (record, group, _) throws(Refusal) in
            let index = try Self.index(call, of: record)
            try Preconditions(call.request).check(record.entityTag(of: index))
            let isEnabled = patch.isEnabled ?? !record.disabledQueues.contains(index)
            _ = try group.commit(
                try .set(index, of: record, enabled: isEnabled, at: .now()), by: call.author, force: force)
            return {
                // Without `force` the queue is not leased, or its setting has not changed.
                if force {
                    setQueue(call, record.name, index, isEnabled: isEnabled)
                } else {
                    answer(call, record.name, index)
                }
            }
        }
    }

    /// Also called if the record is unchanged, since the consumer may have attached or detached the queue.
    private func setQueue(_ call: Call, _ name: DeviceName, _ index: Int, isEnabled: Bool) {
        let command = LeaseCommand.setQueue(name, index, isEnabled: isEnabled) { refusal in
            if let refusal { call.fail(.refused(refusal)) } else { answer(call, name, index) }
        }
        do throws(Refusal) { try engine.perform(command) } catch { call.fail(.refused(error)) }
    }

    private func answer(_ call: Call, _ name: DeviceName, _ index: Int) {
        guard let view = engine.snapshot.devices[name] else {
            return call.fail(.refused(.deviceNotFound(name.text)))
        }
        call.answer(json: QueueDocument(index, of: view).document, entityTag: view.record.entityTag(of: index))
    }

    @Sendable private func assign(_ call: Call) throws(Problem) {
        let input = try call.input { (document) throws(InvalidDocument) in try AssignmentInput(document) }
        try refusing { () throws(Refusal) in try engine.documents.check(input.cpus) }
        try change(call) { (record, group, _) throws(Refusal) in
            let index = try Self.index(call, of: record)
            try Preconditions(call.request).check(record.assignments[index]?.entityTag)
            let (change, isNew) = try QueueChange.assign(index, of: record, to: Assignment(input, at: .now()))
            let assignment = try group.commit(change, by: call.author).assignments[index]
            return {
                call.answer(
                    json: assignment?.document ?? .null, status: isNew ? 201 : 200, entityTag: assignment?.entityTag)
            }
        }
    }

    @Sendable private func release(_ call: Call) throws(Problem) {
        try change(call) { (record, group, _) throws(Refusal) in
            let index = try Self.index(call, of: record)
            let change = try QueueChange.release(index, of: record, at: .now())
            try Preconditions(call.request).check(record.assignments[index]?.entityTag)
            _ = try group.commit(change, by: call.author)
            return { call.answer(HTTPResponse(status: 204)) }
        }
    }

    @Sendable private func assignFree(_ call: Call) throws(Problem) {
        let input = try call.input { (document) throws(InvalidDocument) in try FreeQueuesInput(document) }
        try refusing { () throws(Refusal) in try engine.documents.check(input.assignment.cpus) }
        try change(call) { (record, group, idempotent) throws(Refusal) in
            let (change, queues) = try QueueChange.assign(
                free: input.count, of: record, leases: engine.snapshot.devices[record.name]?.leases ?? [],
                to: Assignment(input.assignment, at: .now()))
            let assigned = try group.commit(change, by: call.author)
            let response = Call.response(
                json: ItemList(queues.compactMap { assigned.assignedQueue($0) }).document, status: 201)
            try idempotent?.remember(response, in: &group)
            return { call.answer(response) }
        }
    }

    /// Queues `decide` for the writer with the committed record of the device, so that two requests for the same queue
    /// cannot both get it.
    ///
    /// - Throws: `Problem.invalidName`, `.invalidHeader`, `Refusal.tooManyWrites`; other refusals become the answer.
    private func change(
        _ call: Call,
        _ decide:
            @escaping @Sendable (DeviceRecord, inout WriteGroup, IdempotentRequest?) throws(Refusal) ->
            WriteQueue.Completion
    ) throws(Problem) {
        let name = try call.name()
        try writes.enqueue(call) { (group, idempotent) throws(Refusal) in
            return try decide(try group.changeableDevice(name), &group, idempotent)
        }
    }

    /// The queue index in the path.
    private static func index(_ call: Call, of record: DeviceRecord) throws(Refusal) -> Int {
        let text = call.parameter(.index)
        guard let index = Int(text), record.queues.contains(index), String(index) == text else {
            throw .queueNotFound(device: record.name, index: text, count: record.queues.count)
        }
        return index
    }
}

extension Assignment {
    fileprivate init(_ input: AssignmentInput, at now: Timestamp) {
        self.init(consumer: input.consumer, cpus: input.cpus, assignedAt: now)
    }
}

extension Assignment {
    /// Entity tag, with quotes: time of the assignment and CPUs.
    fileprivate var entityTag: String {
        "\"\(assignedAt.microseconds)-\(cpus.map { String($0) }.joined(separator: "."))\""
    }
}

extension DeviceRecord {
    /// Entity tag of the wanted state of a queue, with quotes. As with devices, status is not part of it.
    fileprivate func entityTag(of queue: Int) -> String {
        let state = disabledQueues.contains(queue) ? "disabled" : "enabled"
        return "\"\(state)-\(assignments[queue]?.entityTag.dropFirst().dropLast() ?? "free")\""
    }

    /// The assignment of a queue as a list item; `nil` if the queue is not assigned.
    fileprivate func assignedQueue(_ queue: Int) -> AssignedQueue? {
        assignments[queue].map { AssignedQueue(device: name, queue: queue, assignment: $0) }
    }
}

extension QueueDocument {
    fileprivate init(_ index: Int, of view: DeviceView) {
        let lease = view.lease(of: index)
        let queue = lease?.queues[index]
        self.init(
            index: index, isEnabled: !view.record.disabledQueues.contains(index), kernelIndex: queue?.kernelIndex,
            isAttached: queue?.isAttached == true, assignment: view.record.assignments[index], lease: lease?.id)
    }
}
