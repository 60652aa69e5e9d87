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
        if let device {
            guard engine.snapshot.devices[device] != nil else { throw .refused(.deviceNotFound(device.text)) }
            engine.refresh(device)
        }
        let event = EventRecord(
            at: .now(), device: device, reason: .reconcileRequested,
            message: device == nil ? "full reconcile requested" : "reconcile requested",
            author: call.author)
        let answer: @Sendable (Bool) -> Void = { [engine] looked in
            engine.note(event) {
                call.answer(
                    json: ReconcileDocument(looked: looked).document, status: looked ? 200 : DeviceWrites.unreached)
            }
        }
        guard let wait, wait > .zero else {
            try refusing { () throws(Refusal) in try engine.survey(retryingFailed: true) { _ in } }
            return answer(false)
        }
        let timeout = OneShotTimeout(wait, answer: answer)
        do throws(Refusal) {
            try engine.survey(retryingFailed: true) { timeout.end(isReached: $0 != nil) }
        } catch {
            timeout.cancel()
            throw .refused(error)
        }
    }

    @Sendable private func unmanaged(_ call: Call) throws(Problem) {
        let answer: WorkerInbox.Question = { survey in
            guard let survey else { return call.fail(.refused(.noLook)) }
            let devices = survey.unmanaged().sorted { $0.link.name < $1.link.name }
            let holders = survey.holders(of: Set(devices.map(\.link.name)))
            let items = devices.map { device in
                UnmanagedDocument(
                    device.link, in: device.namespace, controller: device.controller, addresses: device.addresses,
                    holders: holders[device.link.name] ?? [])
            }
            call.answer(json: ItemList(items).document)
        }
        try refusing { () throws(Refusal) in try engine.survey(reply: answer) }
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
                let settings = survey.settings(of: found)
                try adopt(call, found, settings, wait: wait)
            } catch {
                call.fail(error)
            }
        }
        do throws(Refusal) { try engine.survey(reply: answer) } catch { call.fail(.refused(error)) }
    }

    private func adopt(
        _ call: Call, _ found: UnmanagedDevice, _ settings: DescriptorSettings, wait: Duration?
    ) throws(Problem) {
        let name: DeviceName
        let spec: DeviceSpec
        do {
            name = try DeviceName(found.link.name)
            // Encoded and parsed again, since the kernel allows values that a spec does not.
            let document = try DeviceSpec(try DeviceSpecDraft(adopting: found, settings)).document
            // A size that equals the kernel's default is left out of the spec, so that the kernel's default applies.
            let sizes = found.link.attributes.filter {
                $0.setting.value != .integer(GSOMaxBytes.standard.value)
            }
            spec = try DeviceSpec(stored: document.merging(["link": .object(sizes.members)]))
        } catch let error as ValidationError {
            throw .refused(.notAdoptable(error.detail))
        } catch let error as InvalidDocument {
            throw .refused(.notAdoptable(error.issues.map { "\($0.pointer): \($0.detail)" }.joined(separator: "; ")))
        } catch let error as SpecContradictions {
            throw .refused(
                .notAdoptable(error.found.map { "\($0.field.rawValue): \($0.detail)" }.joined(separator: "; ")))
        } catch {
            throw .refused(.notAdoptable("\(error)"))
        }
        let claim = Claim(host: found.host, namespace: found.namespace, index: found.link.index, settings: settings)
        try writes.submit(call, name, wait: wait, goal: { .ready(generation: $0.generation) }) {
            (view) throws(Refusal) in
            guard view == nil else { throw .deviceExists(name) }
            var record = DeviceRecord(
                name: name, identifier: .random(), labels: .none, spec: spec, createdAt: .now())
            record.claim = claim
            return .create(record)
        }
    }
}

extension DeviceSpecDraft {
    /// A spec from the state of the kernel.
    ///
    /// - Throws: `ValidationError` if the device has a value that a spec cannot have.
    fileprivate init(adopting device: UnmanagedDevice, _ settings: DescriptorSettings) throws(ValidationError) {
        self.init()
        let link = device.link
        guard let tun = link.tun else { throw ValidationError("the interface is not a tap or tun device") }
        kind = tun.kind
        // Consumers that open it by name must still be able to.
        access = .open
        let count = min(max((tun.attachedQueues ?? 0) + (tun.detachedQueues ?? 0), 1), QueueCount.bounds.upperBound)
        queues = tun.multiQueue ? .multiple(try QueueCount(count)) : .single
        networkNamespace = device.namespace
        packetInfo = tun.packetInfo
        vnetHeader = tun.vnetHeader
        if let size = settings.vnetHeaderSize { vnetHeaderSize = size }
        offloads = settings.offloads ?? []
        owner = tun.owner.map { .number($0) }
        group = tun.group.map { .number($0) }
        self.link.up = link.up
        self.link.mtu = try MTU(link.mtu)
        self.link.macAddress = link.macAddress
        self.link.transmitQueueLength = try TransmitQueueLength(link.transmitQueueLength)
        self.link.queueDiscipline = link.queueDiscipline == "noqueue" ? .noqueue : .kernelDefault
        self.link.controller = try device.controller.map { (text) throws(ValidationError) in try InterfaceName(text) }
        self.link.alias = try link.alias.map { (text) throws(ValidationError) in try LinkAlias(text) }
        var names: [AlternativeName] = []
        for name in link.altNames { names.append(try AlternativeName(name)) }
        self.link.altNames = names.sorted()
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
