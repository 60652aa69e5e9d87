internal import Dispatch
internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// What asks how the kernel is: drift, a look at once, and the devices of others.
struct KernelRoutes: Sendable {
    let board: Board
    let queue: WorkQueue
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
        let drifted = board.snapshot.devices.values.filter { !$0.status.drift.isEmpty }
            .sorted { $0.record.name < $1.record.name }
        call.answer(json: ["items": .array(drifted.map(\.driftDocument))])
    }

    @Sendable private func reconcile(_ call: Call) throws(Problem) {
        let wait = try call.wait()
        let device = try call.query("device") { (text) throws(ValidationError) in try DeviceName(text) }
        if let device {
            guard board.snapshot.devices[device] != nil else { throw .deviceNotFound(device.text) }
            queue.add([device])
        }
        let event = EventRecord(
            at: .now(), device: device, reason: .reconcileRequested,
            message: device == nil ? "a look at everything was asked for" : "a look was asked for",
            author: call.author)
        let answer: @Sendable (Bool) -> Void = { [writes] looked in
            writes.writes.note(event) {
                call.answer(json: ["looked": .bool(looked)], status: looked ? 200 : DeviceWrites.unreached)
            }
        }
        guard let wait, wait > .zero else {
            guard queue.ask(retryingFailed: true, { _ in }) else { throw .tooManyQuestions }
            return answer(false)
        }
        let patience = Patience(wait, answer: answer)
        let isTaken = queue.ask(retryingFailed: true) { patience.end(isReached: $0 != nil) }
        guard isTaken else {
            patience.cancel()
            throw .tooManyQuestions
        }
    }

    @Sendable private func unmanaged(_ call: Call) throws(Problem) {
        let isTaken = queue.ask { survey in
            guard let survey else { return call.fail(.noLook) }
            let devices = survey.unmanaged().sorted { $0.link.name < $1.link.name }
            let holders = survey.holders(of: Set(devices.map(\.link.name)))
            call.answer(json: ["items": .array(devices.map { $0.document(holders: holders[$0.link.name] ?? []) })])
        }
        if !isTaken { throw .tooManyQuestions }
    }

    /// Takes a device over as it is: its spec says what the kernel says.
    @Sendable private func adopt(_ call: Call) throws(Problem) {
        let text = call.parameter(.name)
        let wait = try call.wait()
        let namespace = try call.query("networkNamespace") { (text) throws(ValidationError) in
            try NetworkNamespace(text)
        }
        // First in the writer's turn: it knows whether this request has been answered before.
        try writes.enqueue(call) { _ in { look(for: text, in: namespace, call, wait: wait) } }
    }

    private func look(for text: String, in namespace: NetworkNamespace?, _ call: Call, wait: Duration?) {
        let isTaken = queue.ask { survey in
            guard let survey else { return call.fail(.noLook) }
            do throws(Problem) {
                let found = survey.unmanaged().first { $0.link.name == text && $0.namespace == namespace }
                guard let found else { throw .unmanagedNotFound(text) }
                let settings = survey.settings(of: found)
                try adopt(call, found, settings, wait: wait)
            } catch {
                call.fail(error)
            }
        }
        if !isTaken { call.fail(.tooManyQuestions) }
    }

    private func adopt(
        _ call: Call, _ found: UnmanagedDevice, _ settings: DescriptorSettings, wait: Duration?
    ) throws(Problem) {
        let name: DeviceName
        let spec: DeviceSpec
        do {
            name = try DeviceName(found.link.name)
            // Through the document too: what the kernel allows may be more than a statement can say.
            spec = try DeviceSpec(stored: try DeviceSpec(try DeviceSpecDraft(adopting: found, settings)).document)
        } catch let error as ValidationError {
            throw .notAdoptable(error.detail)
        } catch let error as InvalidDocument {
            throw .notAdoptable(error.issues.map { "\($0.pointer): \($0.detail)" }.joined(separator: "; "))
        } catch let error as SpecContradictions {
            throw .notAdoptable(error.found.map { "\($0.field.rawValue): \($0.detail)" }.joined(separator: "; "))
        } catch {
            throw .notAdoptable("\(error)")
        }
        let claim = Claim(host: found.host, namespace: found.namespace, index: found.link.index, settings: settings)
        try writes.submit(call, name, wait: wait, goal: { .ready(generation: $0.generation) }) {
            (view) throws(Problem) in
            guard view == nil else { throw .deviceExists(name) }
            var record = DeviceRecord(
                name: name, identifier: .random(), labels: .none, spec: spec, createdAt: .now())
            record.claim = claim
            return .create(record)
        }
    }
}

extension DeviceSpecDraft {
    /// What the kernel says of a device, as a statement.
    ///
    /// - Throws: `ValidationError` for what no spec can say.
    fileprivate init(adopting device: UnmanagedDevice, _ settings: DescriptorSettings) throws(ValidationError) {
        self.init()
        let link = device.link
        guard let tun = link.tun else { throw ValidationError("it is no tap or tun device") }
        kind = tun.kind
        // Whoever opens it by its name today shall do so tomorrow.
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

extension DeviceView {
    fileprivate var driftDocument: JSONValue {
        [
            "device": .string(record.name.text), "driftPolicy": .string(record.spec.driftPolicy.rawValue),
            "reason": JSONValue(status[.ready]?.reason),
            "drift": .array(status.drift.map(\.document)),
            "plan": .array(status.plannedSteps.map(\.document)),
        ]
    }
}

extension UnmanagedDevice {
    fileprivate func document(holders: [DescriptorHolder]) -> JSONValue {
        let tun = link.tun
        return [
            "name": .string(link.name), "ifindex": .integer(Int(link.index.rawValue)),
            "networkNamespace": JSONValue(namespace?.text), "kind": JSONValue(tun?.kind.rawValue),
            "multiQueue": tun.map { .bool($0.multiQueue) } ?? .null,
            "packetInfo": tun.map { .bool($0.packetInfo) } ?? .null,
            "vnetHeader": tun.map { .bool($0.vnetHeader) } ?? .null,
            "persistent": tun.map { .bool($0.persistent) } ?? .null,
            "owner": JSONValue(tun?.owner.map { Int($0) }), "group": JSONValue(tun?.group.map { Int($0) }),
            "attachedQueues": JSONValue(tun?.attachedQueues), "detachedQueues": JSONValue(tun?.detachedQueues),
            "up": .bool(link.up), "carrier": .bool(link.carrier), "mtu": .integer(link.mtu),
            "macAddress": JSONValue(link.macAddress?.description), "controller": JSONValue(controller),
            "alias": JSONValue(link.alias), "altNames": .array(link.altNames.sorted().map { .string($0) }),
            "addresses": .array(addresses.map { .string($0.address.description) }),
            "holders": .array(
                holders.map { holder in
                    [
                        "pid": .integer(Int(holder.process)), "command": .string(holder.command),
                        "descriptors": .integer(holder.descriptors),
                    ]
                }),
        ]
    }
}

/// Answers once: when something is reached, or when the time is over.
private final class Patience: Sendable {
    private let answer: Mutex<(@Sendable (_ isReached: Bool) -> Void)?>
    // SAFETY: a dispatch source may be used from any thread; only its protocol does not say so.
    private nonisolated(unsafe) let timer = DispatchSource.makeTimerSource()

    init(_ time: Duration, answer: @escaping @Sendable (_ isReached: Bool) -> Void) {
        self.answer = Mutex(answer)
        unsafe timer.setEventHandler { [self] in end(isReached: false) }
        unsafe timer.schedule(deadline: .now() + .milliseconds(Int(time / .milliseconds(1))))
        unsafe timer.resume()
    }

    func end(isReached: Bool) {
        let answer = answer.withLock { $0.take() }
        cancel()
        answer?(isReached)
    }

    /// Lets go of the answer, and of the timer, which holds on to us.
    func cancel() {
        answer.withLock { $0 = nil }
        unsafe timer.cancel()
    }
}
