internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import TapEngine

/// `/v1/revisions`: earlier specs, and rollback to them.
struct RevisionRoutes: Sendable {
    static let limitMax = 1_000

    let engine: Engine
    let writes: DeviceWrites

    var routes: [Route] {
        [
            Route("GET", "/v1/revisions", .view, parameters: ["before", "limit"], handler: list),
            Route("GET", "/v1/revisions/{revision}", .view, handler: read),
            Route(
                "POST", "/v1/revisions/{revision}/rollback", .operate, parameters: ApplyAnswers.parameters,
                handler: rollBack),
        ]
    }

    @Sendable private func list(_ call: Call) throws(Problem) {
        let before = try call.integer("before", in: 1...Int.max, default: Int.max)
        let limit = try call.integer("limit", in: 1...Self.limitMax, default: 100)
        try call.read(on: engine) { () throws(StoreError) in
            let changes = try engine.changes(before: before, limit: limit)
            call.answer(json: ItemList(changes.map { RevisionDocument($0) }).document)
        }
    }

    @Sendable private func read(_ call: Call) throws(Problem) {
        let revision = try call.revision(orElse: Self.notFound)
        try call.read(on: engine) { () throws(StoreError) in
            switch try engine.wantedState(at: revision) {
            case .known(let change, let devices):
                call.answer(json: RevisionDocument(change, devices: devices.map(PastDevice.init)).document)
            case .forgotten(let oldest): call.fail(.refused(.revisionForgotten(revision, oldest: oldest)))
            case .none(let nearest): call.fail(.refused(.revisionNotFound(String(revision), nearest: nearest)))
            }
        }
    }

    @Sendable private func rollBack(_ call: Call) throws(Problem) {
        let revision = try call.revision(orElse: Self.notFound)
        let (options, wait) = (try ApplyAnswers.options(call), try call.wait())
        try writes.enqueue(call) { (group, idempotent) throws(Refusal) in
            switch try group.read({ try $0.wantedState(at: revision) }) {
            case .known(_, let devices):
                return try ApplyAnswers(engine: engine).write(
                    devices, call, options, wait: wait, in: &group, idempotent
                ) { _ in true }
            case .forgotten(let oldest): throw .revisionForgotten(revision, oldest: oldest)
            case .none(let nearest): throw .revisionNotFound(String(revision), nearest: nearest)
            }
        }
    }

    private static func notFound(_ text: String) -> Problem { .refused(.revisionNotFound(text, nearest: nil)) }
}

extension RevisionDocument {
    fileprivate init(_ change: PastChange, devices: [PastDevice]? = nil) {
        let record = change.record
        self.init(
            revision: record.revision, at: record.at, author: record.author, changes: change.devices, devices: devices)
    }
}
