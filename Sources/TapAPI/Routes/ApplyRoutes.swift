internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import TapEngine

/// `/v1/apply`: many devices in one transaction, all or nothing.
struct ApplyRoutes: Sendable {
    static let devicesMax = 10_000
    private static let parameters = ApplyAnswers.parameters.union(["prune", "labelSelector"])

    let engine: Engine
    let writes: DeviceWrites

    var routes: [Route] {
        [
            Route(
                "POST", "/v1/apply", .operate, parameters: Self.parameters,
                bodyBytesMax: HTTPLimits().bodyBytesMax, handler: apply),
            Route("POST", "/v1/apply/{revision}/confirm", .operate, answers: .other, handler: confirm),
            Route("DELETE", "/v1/apply/{revision}", .operate, answers: .other, handler: rollBack),
        ]
    }

    @Sendable private func apply(_ call: Call) throws(Problem) {
        let options = try ApplyAnswers.options(call)
        let wait = try call.wait()
        let labelSelector = try call.labelSelector()
        let prunes = try call.flag("prune")
        if labelSelector != nil, !prunes {
            throw .invalidParameter(
                name: "labelSelector", detail: "limits what prune deletes; add prune=true, or omit it")
        }
        // Parsing a large body takes long, so it must not block the thread of the connections or of the writer.
        try call.perform(on: engine, whenFull: .tooManyWrites) { () throws(Problem) in
            let document = try call.document()
            let inputs = try refusing { () throws(Refusal) in try self.inputs(document) }
            try writes.enqueue(call) { (group, idempotent) throws(Refusal) in
                try ApplyAnswers(engine: engine).write(inputs, call, options, wait: wait, in: &group, idempotent) {
                    record in
                    prunes && labelSelector?.matches(record.labels) ?? true
                }
            }
        }
    }

    /// The devices of the document.
    ///
    /// - Throws: `Refusal.invalidDocument` with the mistakes of all devices, at most `InvalidDocument.issuesMax`.
    private func inputs(_ document: JSONValue) throws(Refusal) -> [DeviceInput] {
        guard case .object(let members) = document else {
            throw .invalidDocument([FieldIssue(pointer: "", detail: "must be an object, found \(document.kind)")])
        }
        let unknown = members.keys.filter { $0 != "devices" }.sorted().prefix(InvalidDocument.issuesMax)
        var issues = FieldIssue.unknown(unknown.filter { !Self.parameters.contains($0) }, known: ["devices"])
        for key in unknown where Self.parameters.contains(key) {
            issues.append(
                FieldIssue(pointer: "/" + key, detail: "is a query parameter: POST /v1/apply?\(key)=…"))
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
        let snapshot = engine.snapshot
        for (place, document) in documents.enumerated() {
            guard issues.count < InvalidDocument.issuesMax else { break }
            if let name = Self.name(document), let other = places.updateValue(place, forKey: name) {
                issues.append(
                    FieldIssue(
                        pointer: "/devices/\(place)/metadata/name",
                        detail: "duplicate device '\(name)': /devices/\(other) has the same name"))
            }
            let reading = writes.engine.documents.issues(document, keeping: snapshot)
            issues += reading.issues.map {
                FieldIssue(pointer: "/devices/\(place)\($0.pointer)", detail: $0.detail)
            }
            if let input = reading.input { inputs.append(input) }
        }
        guard issues.isEmpty else { throw .invalidDocument(Array(issues.prefix(InvalidDocument.issuesMax))) }
        return inputs
    }

    /// The name of a device whose document may be invalid otherwise.
    private static func name(_ document: JSONValue) -> DeviceName? {
        guard case .string(let text)? = document["metadata"]?["name"] else { return nil }
        return try? DeviceName(text)
    }

    // MARK: Trials

    @Sendable private func confirm(_ call: Call) throws(Problem) {
        let revision = try call.revision { .refused(.trialNotFound($0)) }
        try writes.enqueue(call) { (group, _) throws(Refusal) in
            try engine.confirm(revision, by: call.author, in: &group)
            return {
                engine.trialEnded(revision)
                call.answer(HTTPResponse(status: 204))
            }
        }
    }

    @Sendable private func rollBack(_ call: Call) throws(Problem) {
        let (revision, wait) = (try call.revision { .refused(.trialNotFound($0)) }, try call.wait())
        try writes.enqueue(call) { (group, _) throws(Refusal) in
            let records = try engine.rollBack(
                revision, because: "the rollback was requested", by: call.author, in: &group)
            return {
                engine.trialEnded(revision)
                guard let wait, !records.isEmpty else { return call.answer(HTTPResponse(status: 204)) }
                engine.wait(for: Apply.goals(records), atMost: wait) { _, isReached in
                    call.answer(HTTPResponse(status: isReached ? 204 : DeviceWrites.unreached))
                }
            }
        }
    }
}
