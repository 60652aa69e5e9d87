import Dispatch
import HashTreeCollections
import TapCore
import TapDocument
import TapStore
import TestSupport
import Testing

@testable import TapEngine

/// Writes that wait at the same time share a transaction, and are otherwise independent.
@Suite struct WriteQueueTests {
    private struct Parts {
        let snapshots = SnapshotStore()
        let metrics = EngineMetrics()
        let store: Store
        let writes: WriteQueue
        let outcomes = Gathered<String>()

        init(_ directory: String) throws {
            store = try Store(path: directory + "/t.db")
            writes = WriteQueue(
                store: store, snapshots: snapshots, inbox: WorkerInbox(waker: ModelKernel().waker), metrics: metrics)
            try writes.start()
        }

        /// Adds a write that reports its result in `outcomes`.
        func add(
            _ name: String, _ turn: @escaping @Sendable (inout WriteGroup) throws(Refusal) -> Void
        ) {
            let write = WriteQueue.Write { [outcomes] (group) throws(Refusal) in
                try turn(&group)
                return { outcomes.add("\(name) is written") }
            } fail: { [outcomes] problem in
                outcomes.add("\(name) failed: \(problem)")
            }
            #expect(writes.add(write))
        }

        /// Adds writes while the writer is blocked, so that they form one group.
        func group(_ add: () -> Void) {
            let (isBusy, isFree) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
            self.add("first") { _ in
                isBusy.signal()
                isFree.wait()
            }
            isBusy.wait()
            add()
            isFree.signal()
            writes.stop()
        }

        var commits: Int {
            guard case .integer(let count)? = metrics.commitDuration.family.samples.last?.value else { return -1 }
            return Int(count)
        }
    }

    private static func device(_ name: String) throws -> DeviceRecord {
        DeviceRecord(
            name: try DeviceName(name), identifier: .random(), labels: .none, spec: try DeviceSpec(DeviceSpecDraft()),
            createdAt: Timestamp(microseconds: 1))
    }

    @Test func waitingWritesAreOneCommit() throws {
        try withTemporaryDirectory { directory in
            let parts = try Parts(directory)
            let devices = try (0..<20).map { try Self.device("d\($0)") }
            parts.group {
                for device in devices {
                    parts.add("\(device.name)") { (group) throws(Refusal) in
                        // It sees all earlier writes of the group.
                        #expect(group.devices.count == devices.firstIndex(of: device))
                        _ = try group.commit([.create(device)], by: Self.author)
                    }
                }
            }
            #expect(parts.commits == 1)
            #expect(parts.outcomes.all == ["first is written"] + devices.map { "\($0.name) is written" })
            let (stored, revision) = try parts.store.load()
            // Each has its own revision, as if written alone.
            #expect(stored.map(\.revision).sorted() == Array(1...20))
            #expect(revision == 20)
            #expect(parts.snapshots.current.devices.count == 20)
            #expect(parts.snapshots.current.revision == 20)
        }
    }

    @Test func errorUndoesThatWriteOnly() throws {
        try withTemporaryDirectory { directory in
            let parts = try Parts(directory)
            let (good, bad, late) = (try Self.device("good"), try Self.device("bad"), try Self.device("late"))
            parts.group {
                parts.add("good") { (group) throws(Refusal) in _ = try group.commit([.create(good)], by: Self.author) }
                parts.add("event") { (group) throws(Refusal) in
                    group.record(EventRecord(at: .now(), device: nil, reason: .backedUp, message: "only an event"))
                    throw .stopping
                }
                parts.add("bad") { (group) throws(Refusal) in
                    _ = try group.commit([.create(bad)], by: Self.author)
                    throw .stopping
                }
                parts.add("twice") { (group) throws(Refusal) in
                    // SQLite refuses a claim for a device that does not exist.
                    try group.write { try $0.claim(Self.claim, for: bad.name) }
                }
                parts.add("late") { (group) throws(Refusal) in
                    #expect(group.devices[bad.name] == nil)
                    _ = try group.commit([.create(late)], by: Self.author)
                }
            }
            #expect(try parts.store.load().devices.map(\.name.text).sorted() == ["good", "late"])
            #expect(parts.snapshots.current.devices.keys.map(\.text).sorted() == ["good", "late"])
            #expect(parts.outcomes.all.count == 6)
            #expect(parts.outcomes.all[2] == "event failed: \(Refusal.stopping)")
            #expect(parts.outcomes.all[3] == "bad failed: \(Refusal.stopping)")
            #expect(parts.outcomes.all[4].hasPrefix("twice failed: store("))
            #expect(parts.outcomes.all[5] == "late is written")
            // As if the failed writes had never been added.
            #expect(parts.commits == 1)
            #expect(try parts.store.load().revision == 2)
            #expect(try parts.store.load().devices.map(\.revision).sorted() == [1, 2])
            let history = try parts.store.changes(before: .max, limit: 10)
            #expect(history.map { $0.devices.map(\.name.text) } == [["late"], ["good"]])
            let events = try parts.store.events(after: 0, device: nil, limit: 10)
            #expect(events.map { $0.device?.text ?? "" } == ["good", "late"])
            #expect(events.map(\.revision) == [1, 2])
        }
    }

    /// If the commit fails, refusals fail too: they may depend on writes that were not kept.
    @Test func failedCommitFailsAllWrites() throws {
        try withTemporaryDirectory { directory in
            let parts = try Parts(directory)
            let device = try Self.device("web0")
            parts.group {
                parts.add("create") { (group) throws(Refusal) in
                    _ = try group.commit([.create(device)], by: Self.author)
                }
                parts.add("again") { (group) throws(Refusal) in
                    #expect(group.devices[device.name] != nil)
                    throw .deviceExists(device.name)
                }
                parts.add("full") { (_) throws(Refusal) in throw .store(.full) }
            }
            #expect(try parts.store.load().devices.isEmpty)
            #expect(parts.snapshots.current.devices.isEmpty)
            #expect(parts.snapshots.current.storeFailure == StoreError.full.description)
            let failed = "failed: \(Refusal.store(.full))"
            #expect(
                parts.outcomes.all == ["first is written", "create \(failed)", "again \(failed)", "full \(failed)"])
        }
    }

    /// A request with `wait` may be answered as soon as the change is published, and its client may then ask for a
    /// lease at once.
    @Test func deviceMayBeLeasedAgainWhenItsChangeIsPublished() throws {
        try withTemporaryDirectory { directory in
            let parts = try Parts(directory)
            let device = try Self.device("web0")
            parts.add("create") { (group) throws(Refusal) in _ = try group.commit([.create(device)], by: Self.author) }
            try eventually("it is published") { parts.snapshots.current.devices[device.name] != nil }
            let reserved = Gathered<ReservationResult>()
            let change = WriteQueue.Write { [snapshots = parts.snapshots] (group) throws(Refusal) in
                func reserve(_ view: DeviceView?) {
                    if let view { reserved.add(snapshots.reserve(Self.lease(of: view), in: view)) }
                }
                let record = group.devices[device.name]?.record ?? device
                _ = try group.commit([.update(record, from: device)], by: Self.author)
                let before = snapshots.current.devices[device.name]
                reserve(before)
                return {
                    reserve(snapshots.current.devices[device.name])
                    // What was checked in the version before the commit no longer holds.
                    reserve(before)
                }
            } fail: { refusal in
                Issue.record("\(refusal)")
            }
            #expect(parts.writes.add(change))
            parts.writes.stop()
            #expect(reserved.all == [.closed, .reserved, .changed])
        }
    }

    private static func lease(of view: DeviceView) -> LeaseView {
        LeaseView(
            LeaseRecord(
                id: .random(), device: view.record.name, identifier: view.record.identifier.text,
                place: LeasePlace(namespace: 1, index: LinkIndex(rawValue: 7)), consumer: nil, process: 1, user: 0,
                group: 0, userName: nil, command: nil, since: .now()), reserving: [0])
    }

    private static let author = Author(name: "uid:0", source: "pid 1", request: "r")

    private static let claim = Claim(
        host: NamespaceIdentity(boot: "b", namespace: 1), index: LinkIndex(rawValue: 7),
        settings: DescriptorSettings(vnetHeaderSize: nil, offloads: nil))
}
