import GRDB
import TapCore
import TapDocument
import TestSupport
import Testing

@testable import TapStore

/// The history of the wanted state, as it grows and is pruned, compared with a model in memory.
@Suite struct ChangeStoreTests {
    private static let author = Author(name: "uid:0", source: "pid 1", request: "r")

    private static func spec(queues: Int) throws -> DeviceSpec {
        var draft = DeviceSpecDraft()
        draft.queues = .multiple(try QueueCount(queues))
        return try DeviceSpec(draft)
    }

    private static func record(_ name: String, queues: Int) throws -> DeviceRecord {
        DeviceRecord(
            name: try DeviceName(name), identifier: .random(), labels: .none, spec: try spec(queues: queues),
            createdAt: Timestamp(microseconds: 1))
    }

    private static func change(_ revision: Int, devicesCount: Int = 1) -> ChangeRecord {
        ChangeRecord(
            revision: revision, at: Timestamp(microseconds: 1), author: author, devicesCount: devicesCount)
    }

    /// Other writes use revisions too. The oldest changes are deleted whichever revisions they have.
    @Test(arguments: [0, 1])
    func pruningWorksWithGapsBetweenRevisions(remainder: Int) throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let record = try Self.record("web0", queues: 1)
            try store.write { transaction in
                for number in 1...2 * HistoryLimits.changesMax {
                    let revision = 2 * number + remainder
                    _ = try transaction.save(record, revision: revision)
                    try transaction.append([Self.change(revision)])
                }
            }
            let most = HistoryLimits.changesMax + ChangeRow.changesBetweenPrunings
            #expect(try store.changes(before: .max, limit: 10_000).count <= most)
            #expect(try store.versions() <= most)
        }
    }

    /// If a revision were used twice, the history would mix two changes.
    @Test func revisionsAreNotReservedTwice() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let record = try Self.record("web0", queues: 1)
            try store.write { try $0.reserveRevisions(after: 0, through: 3) }
            #expect(throws: StoreError.failed(detail: "revision 2 is not the current one")) {
                try store.write { transaction in
                    _ = try transaction.save(record, revision: 4)
                    try transaction.reserveRevisions(after: 2, through: 4)
                }
            }
            #expect(try store.load().devices.isEmpty)
            #expect(try store.load().revision == 3)
            #expect(try store.write { try $0.nextRevision() } == 4)
        }
    }

    /// Pruning may become due in the middle of a group.
    @Test func pruningWorksWithinGroupsOfChanges() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let record = try Self.record("web0", queues: 1)
            var revision = 0
            while revision < 2 * HistoryLimits.changesMax {
                try store.write { transaction in
                    var changes: [ChangeRecord] = []
                    for _ in 0..<37 {
                        revision += 1
                        _ = try transaction.save(record, revision: revision)
                        changes.append(Self.change(revision))
                    }
                    try transaction.append(changes)
                }
            }
            let kept = try store.changes(before: .max, limit: 10_000)
            #expect(kept.first?.record.revision == revision)
            #expect((HistoryLimits.changesMax...HistoryLimits.changesMax + 100).contains(kept.count))
        }
    }

    @Test(arguments: [1, 2, 3])
    func historyMatchesAModel(seed: UInt64) throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            var model = Model(seed: seed)
            for revision in 1...300 {
                try store.write { try model.step(revision, in: $0) }
                if revision % 50 == 0 {
                    try store.prune(changesMax: 40, devicesMax: seed == 3 ? 30 : 1_000)
                }
            }
            let kept = try store.changes(before: .max, limit: 1_000)
            #expect(kept.count <= 40 + 50)
            #expect(kept == model.changes.suffix(kept.count).reversed())
            let oldest = try #require(kept.last?.record.revision)
            for revision in 1...300 {
                let page = try store.changes(before: revision, limit: 7)
                #expect(page == Array(kept.filter { $0.record.revision < revision }.prefix(7)))
                switch try store.wantedState(at: revision) {
                case .known(let change, let devices):
                    #expect(change == model.changes.first { $0.record.revision == revision })
                    #expect(revision >= oldest)
                    let expected = model.past[revision]?.values.sorted { $0.name < $1.name }
                    #expect(devices == expected, "seed \(seed), revision \(revision)")
                case .forgotten(let first):
                    #expect(first == oldest)
                    #expect(revision < oldest)
                case .none(let nearest):
                    #expect(model.past[revision] == nil)
                    #expect(nearest == model.past.keys.filter { $0 < revision }.max())
                }
            }
            // Versions that no kept change refers to are deleted.
            try store.prune(changesMax: 1, devicesMax: 1)
            #expect(try store.versions() <= kept.first?.devices.count ?? 0)
        }
    }

    /// Devices that are created, updated, marked for deletion, wanted again and removed.
    private struct Model {
        var generator: SeededGenerator
        /// Those marked for deletion included.
        var records: [DeviceName: DeviceRecord] = [:]
        var changes: [PastChange] = []
        var past: [Int: [DeviceName: DeviceInput]] = [:]

        init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

        mutating func step(_ revision: Int, in transaction: borrowing Transaction) throws {
            var devices: [ChangedDevice] = []
            for number in 0..<6 where Int.random(in: 0..<3, using: &generator) == 0 {
                let name = try DeviceName("d\(number)")
                if let change = try step(name, revision, in: transaction) {
                    devices.append(.init(name: name, change: change))
                }
            }
            guard !devices.isEmpty else { return }
            let record = ChangeStoreTests.change(revision, devicesCount: devices.count)
            changes.append(PastChange(record: record, devices: devices))
            try transaction.append([record])
            past[revision] = records.filter { $0.value.deletionRequestedAt == nil }.mapValues {
                DeviceInput(name: $0.name, labels: $0.labels, spec: $0.spec)
            }
        }

        private mutating func step(
            _ name: DeviceName, _ revision: Int, in transaction: borrowing Transaction
        ) throws -> ChangedDevice.Change? {
            let queues = Int.random(in: 0...4, using: &generator)
            guard var record = records[name] else {
                guard queues > 0 else { return nil }
                let new = try ChangeStoreTests.record(name.text, queues: queues)
                records[name] = try transaction.save(new, revision: revision)
                return .created
            }
            if record.deletionRequestedAt != nil {
                guard queues > 2 else {
                    // The worker has deleted the interface. This does not change the wanted state.
                    #expect(try transaction.forget(record.identifier))
                    records[name] = nil
                    return nil
                }
                record.deletionRequestedAt = nil
                records[name] = try transaction.save(record, revision: revision)
                return .created
            }
            if queues == 0 {
                record.deletionRequestedAt = record.createdAt
                records[name] = try transaction.markDeleted(record, revision: revision)
                return .deleted
            }
            record.spec = try ChangeStoreTests.spec(queues: queues)
            records[name] = try transaction.save(record, revision: revision)
            return .updated
        }
    }
}

extension Store {
    fileprivate func prune(changesMax: Int, devicesMax: Int) throws {
        _ = try write { try $0.prune(changesMax: changesMax, devicesMax: devicesMax) }
    }

    fileprivate func versions() throws -> Int {
        try reading.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM device_version") ?? 0 }
    }
}
