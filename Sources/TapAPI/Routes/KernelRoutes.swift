internal import Dispatch
internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import TapEngine

/// Drift, on-demand reconcile, and unmanaged interfaces.
struct KernelRoutes: Sendable {
    let engine: Engine
    let writes: DeviceWrites
    private let unmanagedList: UnmanagedList

    init(engine: Engine, writes: DeviceWrites) {
        self.engine = engine
        self.writes = writes
        unmanagedList = UnmanagedList(engine)
    }

    var routes: [Route] {
        [
            Route("GET", "/v1/drift", .view, handler: drift),
            Route("POST", "/v1/reconcile", .operate, parameters: ["device"], handler: reconcile),
            Route("GET", "/v1/unmanaged", .view, handler: unmanaged),
            Route(
                "POST", "/v1/unmanaged/{name}/adopt", .operate, parameters: ["networkNamespace"], handler: adopt
            ),
        ]
    }

    @Sendable private func drift(_ call: Call) throws(Problem) {
        let drifted = engine.snapshot.devices.values.filter { !$0.status.drift.isEmpty }
            .sorted { $0.record.name < $1.record.name }
        let items = drifted.map { DriftedDevice($0.record.name, $0.record.spec.driftPolicy, $0.status) }
        call.answer(json: ItemList(items).document)
    }

    @Sendable private func reconcile(_ call: Call) throws(Problem) {
        let wait = try call.wait()
        let device = try call.query("device") { (text) throws(ValidationError) in try DeviceName(text) }
        let answer: @Sendable (Bool) -> Void = { [engine] looked in
            engine.noteReconcile(of: device, by: call.author) {
                call.answer(
                    json: ReconcileDocument(looked: looked).document, status: looked ? 200 : DeviceWrites.unreached)
            }
        }
        guard let wait, wait > .zero else {
            try refusing { () throws(Refusal) in try engine.reconcile(device, reply: nil) }
            return answer(false)
        }
        let timeout = OneShotTimeout(wait, answer: answer)
        do throws(Refusal) {
            try engine.reconcile(device) { timeout.end(isReached: $0) }
        } catch {
            timeout.cancel()
            throw .refused(error)
        }
    }

    @Sendable private func unmanaged(_ call: Call) throws(Problem) {
        try unmanagedList.add(call)
    }

    /// Adopts an unmanaged device unchanged: its spec is derived from the state of the kernel.
    @Sendable private func adopt(_ call: Call) throws(Problem) {
        let text = call.parameter(.name)
        let wait = try call.wait()
        let namespace = try call.query("networkNamespace") { (text) throws(ValidationError) in
            try NetworkNamespace(text)
        }
        // Starts in the writer, which knows whether the request is a repetition (`Idempotency-Key`).
        try writes.enqueue(call) { _, _ in { look(for: text, in: namespace, call, wait: wait) } }
    }

    private func look(for text: String, in namespace: NetworkNamespace?, _ call: Call, wait: Duration?) {
        let answer: WorkerInbox.Question = { survey in
            guard let survey else { return call.fail(.refused(.noLook)) }
            do throws(Problem) {
                let found = survey.unmanaged().first { $0.link.name == text && $0.namespace == namespace }
                guard let found else { throw .refused(.unmanagedNotFound(text)) }
                let record = try refusing { () throws(Refusal) in
                    try DeviceRecord(adopting: found, survey.settings(of: found), at: .now())
                }
                try writes.submit(call, record.name, wait: wait, goal: { .ready(generation: $0.generation) }) {
                    (view) throws(Refusal) in
                    guard view == nil else { throw .deviceExists(record.name) }
                    return .create(record)
                }
            } catch {
                call.fail(error)
            }
        }
        do throws(Refusal) { try engine.survey(reply: answer) } catch { call.fail(.refused(error)) }
    }
}

/// Calls `answer` once: when the goal is reached or after the timeout.
private final class OneShotTimeout: Sendable {
    private let answer: Mutex<(@Sendable (_ isReached: Bool) -> Void)?>
    private let timer = DeadlineTimer()

    init(_ time: Duration, answer: @escaping @Sendable (_ isReached: Bool) -> Void) {
        self.answer = Mutex(answer)
        // The timer retains this object until the timeout or `cancel`.
        timer.onTime { [self] in end(isReached: false) }
        timer.schedule(after: time)
    }

    func end(isReached: Bool) {
        let answer = answer.withLock { $0.take() }
        cancel()
        answer?(isReached)
    }

    /// Releases the answer, and the timer, which retains this object.
    func cancel() {
        answer.withLock { $0 = nil }
        timer.end()
    }
}
