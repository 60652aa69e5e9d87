import TapSystem
import HashTreeCollections
import TapCore
import TapDocument
import TapHTTP
import TapStore
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// The list of changes is bounded for any writes and any slow watcher.
@Suite struct ChangeListTests {
    private static func record(_ name: String, revision: Int) throws -> DeviceRecord {
        var record = DeviceRecord(
            name: try DeviceName(name), identifier: .random(), labels: .none, spec: try DeviceSpec(DeviceSpecDraft()),
            createdAt: Timestamp(microseconds: 0))
        record.revision = revision
        return record
    }

    @Test func aDeviceIsListedAtItsLastChange() throws {
        var list = ChangeList()
        let views = try (0..<3).map { DeviceView(record: try Self.record("d\($0)", revision: 1)) }
        for view in views { list.note(view, revision: 1) }
        for revision in 2...10_000 {
            list.note(views[0], revision: revision)
            #expect(list.count <= ChangeList.outdatedMax + views.count + 1)
        }
        var place: UInt64 = 0
        var order: [String] = []
        while let change = list.first(after: place) {
            order.append(change.name.text)
            place = change.sequence
        }
        #expect(order == ["d1", "d2", "d0"])
        // A resume finds the changes of its revision and later.
        #expect(list.first(after: list.place(before: 10_000))?.name.text == "d0")
        #expect(list.first(after: list.place(before: 2))?.name.text == "d0")
        #expect(list.first(after: list.place(before: 1))?.name.text == "d1")
        #expect(list.first(after: list.place(before: 10_001)) == nil)
    }

    /// A watcher for which deletions were discarded gets an error; others do not.
    @Test func aWatcherThatMissesARemovalGetsAnError() throws {
        let snapshots = SnapshotStore()
        snapshots.load([], revision: 0)
        var dropped: [Watcher.DropReason] { reasons.all }
        let reasons = Gathered<Watcher.DropReason>()
        func watcher(after revision: Int?) throws -> Watcher {
            Watcher(
                snapshots, from: try snapshots.start(after: revision), selector: nil, format: .lines, owner: "uid:0",
                refusal: { nil }, describe: { $0.response(path: "", requestIdentifier: "").body },
                dropped: { reasons.add($0) },
                onEnd: { _ in })
        }
        let slow = try watcher(after: nil)
        let quick = try watcher(after: nil)
        #expect(slow.text == "BOOKMARK")
        let count = ChangeList.removalsMax + 1
        for revision in 1...count {
            let record = try Self.record("d", revision: revision * 2)
            snapshots.publish([([record], revision * 2)])
            snapshots.remove([record.name], revision: revision * 2 + 1)
            // The quick watcher catches up regularly.
            if revision % 1_000 == 0 { while quick.text != nil {} }
        }
        #expect(slow.text == "ERROR")
        #expect(slow.text == nil)
        #expect(dropped == [.behind])
        while let event = quick.text { #expect(event != "ERROR") }
        // Only the newest deletions are stored.
        #expect(throws: Refusal.self) { try snapshots.start(after: 2) }
        #expect(try watcher(after: count * 2 + 1).text == "BOOKMARK")
        // A new watcher misses nothing.
        #expect(try watcher(after: nil).text == "BOOKMARK")
        #expect(dropped == [.behind])
    }

    /// A change of the status is sent, though it has no revision; a change that the document does not show is not.
    @Test func onlyVisibleChangesAreSent() throws {
        let changes = Gathered<Void>()
        let snapshots = SnapshotStore { changes.add(()) }
        let record = try Self.record("d", revision: 1)
        snapshots.publish([([record], 1)])
        #expect(changes.all.count == 1)
        guard case .change(_, let view) = snapshots.next(after: try snapshots.start(after: nil).place) else {
            throw TestFailure("the device was not sent")
        }
        snapshots.publish([WorkerUpdate(view, status: view.status)])
        var assigned = record
        assigned.assignments = [0: Assignment(consumer: try ConsumerName("c"), cpus: [], assignedAt: .now())]
        snapshots.publish([([assigned], 2)])
        #expect(changes.all.count == 1)
        var status = view.status
        status.lastError = "no"
        snapshots.publish([WorkerUpdate(view, status: status)])
        #expect(changes.all.count == 2)
    }

    /// A client resumes at the revision of its last event. A device that left the selector before, but whose event was
    /// delayed by a further change, is sent after the resume.
    @Test func aDeviceThatLeftTheSelectorIsSentAfterAResume() throws {
        let snapshots = SnapshotStore()
        snapshots.load([], revision: 0)
        let selector = try LabelSelector("vm=a")
        func labels(_ vm: String) throws -> Labels { try Labels(stored: ["vm": .string(vm)]) }
        func publish(_ name: String, _ vm: String, _ revision: Int) throws {
            var record =
                try snapshots.current.devices[DeviceName(name)]?.record ?? Self.record(name, revision: revision)
            record.labels = try labels(vm)
            record.revision = revision
            snapshots.publish([([record], revision)])
        }
        func fail(_ name: String) throws {
            let view = try #require(snapshots.current.devices[try DeviceName(name)])
            var status = view.status
            status.lastError = "no"
            snapshots.publish([WorkerUpdate(view, status: status)])
        }
        func events(after revision: Int) throws -> [String] {
            let watcher = Watcher(
                snapshots, from: try snapshots.start(after: revision), selector: selector, format: .lines,
                owner: "uid:0",
                refusal: { nil }, describe: { $0.response(path: "", requestIdentifier: "").body }, dropped: { _ in },
                onEnd: { _ in })
            var gathered: [String] = []
            while let event = watcher.event, case .string(let type)? = event["type"] {
                if case .string(let name)? = event["object"]?["metadata"]?["name"] {
                    gathered.append("\(type) \(name)")
                } else {
                    gathered.append(type)
                }
            }
            return gathered
        }
        for (place, (name, vm)) in [("d3", "a"), ("d4", "a"), ("other", "c")].enumerated() {
            try publish(name, vm, place + 1)
        }
        try publish("d3", "a", 4)
        let beginning = 4
        try publish("d4", "b", 5)
        try publish("d3", "a", 6)
        // Neither change has a revision.
        try fail("d4")
        try fail("other")
        #expect(try events(after: beginning) == ["MODIFIED d3", "DELETED d4", "BOOKMARK"])
        // The stream broke after the first of these events.
        #expect(try events(after: 6) == ["MODIFIED d3", "DELETED d4", "BOOKMARK"])
        try publish("d3", "a", 7)
        #expect(try events(after: 7) == ["MODIFIED d3", "BOOKMARK"])
    }

    /// An owner with many watches leaves places for others.
    @Test func oneOwnerCannotTakeAllPlaces() throws {
        let snapshots = SnapshotStore()
        snapshots.load([], revision: 0)
        let watchers = Watchers(gauge: Gauge("watchers", "Open watch streams."))
        func watch(_ owner: String) throws {
            let watcher = Watcher(
                snapshots, from: try snapshots.start(after: nil), selector: nil, format: .lines, owner: owner,
                refusal: { nil }, describe: { $0.response(path: "", requestIdentifier: "").body }, dropped: { _ in },
                onEnd: { _ in })
            _ = try watchers.add(watcher)
        }
        func detail(_ owner: String) -> String? {
            do { try watch(owner) } catch { return (error as? Problem).map { "\($0)" } }
            return nil
        }
        for _ in 0..<Watchers.watchersPerOwnerMax { try watch("token:a") }
        #expect(detail("token:a")?.contains("token:a") == true)
        for _ in 0..<(Watchers.watchersMax - Watchers.watchersPerOwnerMax) { try watch("token:b") }
        #expect(detail("token:c")?.contains("nil") == true)
    }

    private static let accepted: [(String?, String?)] = [
        (nil, "lines"), ("*/*", "lines"), ("application/json", "lines"), ("application/*", "lines"),
        ("application/x-ndjson;q=0.5, text/event-stream", "stream"), ("Text/Event-Stream", "stream"),
        ("text/*, */*;q=0.1", "stream"), ("text/event-stream, */*", "stream"),
        ("text/event-stream;q=0, */*", "lines"), ("text/html", nil), ("*/*;q=0", nil), ("", "lines"),
    ]

    @Test(arguments: accepted)
    func theBestTypeIsChosen(accept: String?, best: String?) {
        let offers = [("lines", ["application/x-ndjson", "application/json"]), ("stream", ["text/event-stream"])]
        #expect(AcceptHeader(accept).best(of: offers) == best)
    }
}

extension Watcher {
    /// The next event; `nil` if there is none.
    fileprivate var event: JSONValue? {
        guard case .send(let bodies) = next(isStopping: false) else { return nil }
        return try? JSONValue(parsing: bodies.flatMap(\.bytes))
    }

    /// The type of the next event.
    fileprivate var text: String? {
        guard case .string(let type)? = event?["type"] else { return nil }
        return type
    }
}
