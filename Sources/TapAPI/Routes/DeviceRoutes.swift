internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine
internal import TapSystem

/// `/v1/devices`.
struct DeviceRoutes: Sendable {
    /// The most devices on a page. Without `limit`, an answer has all devices.
    static let limitMax = 1_000
    /// Part of entity tags, so that those of two processes differ: each process counts the versions of its snapshots
    /// from 0.
    private static let run = String(UInt32.random(in: .min ... .max), radix: 16)

    let engine: Engine
    let writes: DeviceWrites
    private let lists = LastList()

    init(engine: Engine, writes: DeviceWrites) {
        self.engine = engine
        self.writes = writes
    }

    var routes: [Route] {
        [
            Route("GET", "/v1/devices", .view, parameters: ["labelSelector", "limit", "continue"], handler: list),
            Route("POST", "/v1/devices", .operate, handler: create),
            Route("GET", "/v1/devices/{name}", .view, handler: read),
            Route("PUT", "/v1/devices/{name}", .operate, parameters: ["recreate", "force"], handler: replace),
            Route("PATCH", "/v1/devices/{name}", .operate, parameters: ["recreate", "force"], handler: patch),
            Route("DELETE", "/v1/devices/{name}", .operate, parameters: ["force"], handler: delete),
        ]
    }

    @Sendable private func list(_ call: Call) throws(Problem) {
        let selector = try call.labelSelector()
        let limit = try call.integer("limit", in: 1...Self.limitMax, default: .max)
        let token = try call.continueToken()
        let snapshot = engine.snapshot
        call.answer(
            lists.body(call.request.head.query, of: snapshot) { snapshot in
                Self.list(snapshot, selector, limit: limit, after: token)
            }, type: "application/json", entityTag: "\"\(Self.run)-\(snapshot.revision)-\(snapshot.version)\"",
            isWeak: true)
    }

    private static func list(
        _ snapshot: Snapshot, _ selector: LabelSelector?, limit: Int, after token: ContinueToken?
    ) -> HTTPBody {
        let selected = snapshot.devices.values.filter { view in
            token.map { $0.last < view.record.name } ?? true && selector?.matches(view.record.labels) ?? true
        }.sorted { $0.record.name < $1.record.name }
        let page = selected.prefix(limit)
        let revision = token?.revision ?? snapshot.revision
        let next = page.last.flatMap { last in
            page.count < selected.count ? ContinueToken(revision: revision, last: last.record.name) : nil
        }
        let metadata = DeviceList.Metadata(continueToken: next?.text, resourceVersion: revision)
        return HTTPBody(DeviceList.bytes(items: page.lazy.map(\.body.bytes), metadata: metadata))
    }

    @Sendable private func read(_ call: Call) throws(Problem) {
        let view = try call.device(in: engine.snapshot)
        if Preconditions(call.request).isUnmodified(view.entityTag) {
            call.answer(HTTPResponse(status: 304, headers: ["ETag": view.entityTag]))
        } else {
            call.answer(view)
        }
    }

    @Sendable private func create(_ call: Call) throws(Problem) {
        let wait = try call.wait()
        let document = try call.document()
        let input = try refusing { () throws(Refusal) in try writes.engine.documents.input(document) }
        try writes.submit(call, input.name, wait: wait, goal: Self.ready) { (view) throws(Refusal) in
            guard view == nil else { throw .deviceExists(input.name) }
            return try DeviceChange.change(nil, to: input, recreate: false)
        }
    }

    @Sendable private func replace(_ call: Call) throws(Problem) {
        let (name, wait, recreate) = (try call.nameToCreate(), try call.wait(), try call.flag("recreate"))
        let document = try call.document()
        let input = try refusing { () throws(Refusal) in
            try writes.engine.documents.input(document, name: name, keeping: engine.snapshot)
        }
        let preconditions = Preconditions(call.request)
        try writes.submit(call, name, wait: wait, goal: Self.ready) { (view) throws(Refusal) in
            try preconditions.check(view?.entityTag)
            return try DeviceChange.change(view, to: input, recreate: recreate)
        }
    }

    @Sendable private func patch(_ call: Call) throws(Problem) {
        let (name, wait, recreate) = (try call.name(), try call.wait(), try call.flag("recreate"))
        let document = try call.document(["application/merge-patch+json", "application/json"])
        guard case .object = document else {
            throw .refused(
                .invalidDocument([FieldIssue(pointer: "", detail: "must be an object, found \(document.kind)")]))
        }
        let unknown = DeviceInput.unknownFields(inPatch: document)
        guard unknown.isEmpty else { throw .refused(.invalidDocument(InvalidDocument(unknown).issues)) }
        let preconditions = Preconditions(call.request)
        try writes.submit(call, name, wait: wait, goal: Self.ready) { [writes] (view) throws(Refusal) in
            guard let view else { throw .deviceNotFound(name.text) }
            try preconditions.check(view.entityTag)
            // This document has no `resourceVersion`, so that it is checked only if the patch has one.
            let current = DeviceInput(name: name, labels: view.record.labels, spec: view.record.spec)
            let input = try writes.engine.documents.input(current.document.merging(document), name: name)
            return try DeviceChange.change(view, to: input, recreate: recreate)
        }
    }

    @Sendable private func delete(_ call: Call) throws(Problem) {
        let (name, wait) = (try call.name(), try call.wait())
        let preconditions = Preconditions(call.request)
        try writes.submit(call, name, wait: wait, goal: { _ in .gone }) { (view) throws(Refusal) in
            guard let view else { throw .deviceNotFound(name.text) }
            try preconditions.check(view.entityTag)
            return DeviceChange.deletion(of: view.record)
        }
    }

    @Sendable private static func ready(_ record: DeviceRecord) -> Waiters.Goal {
        .ready(generation: record.generation)
    }
}

/// Caches the last list: pollers request the same list again, mostly without changes in between.
private final class LastList: Sendable {
    /// Longer lists are not cached.
    static let bytesMax = 1 << 20

    private struct Entry {
        let version: UInt64
        let revision: Int
        let query: [String: String]
        let body: HTTPBody
    }

    private let last = Mutex<Entry?>(nil)

    func body(_ query: [String: String], of snapshot: Snapshot, make: (Snapshot) -> HTTPBody) -> HTTPBody {
        let cached = last.withLock { last in
            guard let last, last.version == snapshot.version, last.revision == snapshot.revision, last.query == query
            else { return nil as HTTPBody? }
            return last.body
        }
        if let cached { return cached }
        let body = make(snapshot)
        if body.count <= Self.bytesMax {
            let entry = Entry(version: snapshot.version, revision: snapshot.revision, query: query, body: body)
            last.withLock { $0 = entry }
        }
        return body
    }
}
