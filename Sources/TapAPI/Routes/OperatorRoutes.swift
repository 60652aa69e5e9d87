internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import Yams
internal import TapEngine

/// Health, metrics, events, version and the OpenAPI document.
struct OperatorRoutes: Sendable {
    static let eventsLimitMax = 1_000

    let engine: Engine
    let scrapes: Scrapes

    /// Routes that a listener without authentication may serve. The caller chooses the permission for the metrics,
    /// which name the devices.
    func healthRoutes(metrics permission: Permission) -> [Route] {
        [
            Route("GET", "/livez", .open, parameters: ["verbose"], answers: .other) { $0.answer(text: "ok\n") },
            Route("GET", "/readyz", .open, parameters: ["verbose"], answers: .other, handler: readyz),
            Route("GET", "/metrics", permission, answers: .other, handler: exposition),
        ]
    }

    var routes: [Route] {
        healthRoutes(metrics: .view) + [
            Route("GET", "/v1/events", .view, parameters: ["after", "device", "limit"], handler: events),
            Route("GET", "/version", .open) {
                $0.answer(json: VersionDocument(name: "tapster", version: Tapster.version).document)
            },
            Route("GET", "/openapi.yaml", .open, answers: .other) {
                $0.answer(Contract.yaml, type: "application/yaml", entityTag: Contract.entityTag)
            },
            Route("GET", "/openapi.json", .open, answers: .other) {
                $0.answer(Contract.json, type: "application/json", entityTag: Contract.entityTag)
            },
        ]
    }

    @Sendable private func readyz(_ call: Call) throws(Problem) {
        let snapshot = engine.health
        let checks = [
            ("kernel", snapshot.workerFailure),
            ("privileges", snapshot.missingAbility),
            ("database", snapshot.storeFailure),
            ("reconciled", snapshot.isReady ? nil : "the first pass over the kernel is not complete"),
        ]
        let isReady = snapshot.isHealthy
        var text = isReady ? "ok\n" : "not ready\n"
        if call.request.head.query["verbose"] != nil || !isReady {
            text = checks.map { "[\($0.1 == nil ? "+" : "-")] \($0.0) \($0.1 ?? "ok")\n" }.joined() + progress + text
        }
        call.answer(text: text, status: isReady ? 200 : 503)
    }

    /// A line with the progress of the current pass; empty if no devices are left.
    private var progress: String {
        let left = Int(engine.metrics.passDevicesLeft.current)
        return left == 0 ? "" : "[+] pass \(left) of \(Int(engine.metrics.passDevices.current)) devices left\n"
    }

    @Sendable private func exposition(_ call: Call) throws(Problem) {
        let format = MetricsFormat(accept: call.request.head.list("accept"))
        let isTaken = scrapes.add(format) { body in
            call.answer(HTTPResponse(status: 200, headers: ["Content-Type": format.contentType], body: body))
        }
        if !isTaken { throw .refused(.tooManyQuestions) }
    }

    @Sendable private func events(_ call: Call) throws(Problem) {
        let after = try call.integer("after", in: 0...Int.max, default: 0)
        let limit = try call.integer("limit", in: 1...Self.eventsLimitMax, default: 100)
        let device = try call.query("device") { (text) throws(ValidationError) in try DeviceName(text) }
        try call.read(on: engine) { () throws(StoreError) in
            let events = try engine.events(after: after, device: device, limit: limit)
            call.answer(json: ItemList(events).document)
        }
    }
}

/// The OpenAPI document as YAML and as JSON.
private enum Contract {
    static let yaml = HTTPBody(OpenAPIDocument.yaml)

    /// Of both forms, since the JSON is derived from the YAML.
    static let entityTag = "\"" + SHA256.text(SHA256.digest(OpenAPIDocument.yaml)) + "\""

    /// Derived from the YAML at the first request.
    static let json: HTTPBody = {
        let tree = try? Yams.compose(yaml: String(decoding: OpenAPIDocument.yaml, as: UTF8.self))
        return HTTPBody((tree.map(JSONValue.init(_:)) ?? .null).bytes)
    }()
}

extension JSONValue {
    /// Converts by YAML's core schema: plain scalars may be numbers, booleans or null, quoted ones are strings.
    fileprivate init(_ node: Node) {
        switch node {
        case .mapping(let mapping):
            self = .object(
                Dictionary(
                    mapping.map { ($0.key.string ?? "", JSONValue($0.value)) }, uniquingKeysWith: { first, _ in first })
            )
        case .sequence(let sequence): self = .array(sequence.map(JSONValue.init(_:)))
        case .scalar(let scalar):
            if scalar.style != .plain {
                self = .string(scalar.string)
            } else if let integer = node.int {
                self = .integer(integer)
            } else if let bool = node.bool {
                self = .bool(bool)
            } else if let number = node.float {
                self = .number(number)
            } else {
                self = node.null == nil ? .string(scalar.string) : .null
            }
        case .alias: self = .null
        }
    }
}
