import GRDB
import TapCore
import TapDocument
import TestSupport
import Testing

@testable import TapStore

/// The history of statements, as it grows and is forgotten, against one in memory.
@Suite struct ChangeStoreTests {
    private static let author = Author(name: "uid:0", source: "pid 1", request: "r")

    private static func version(
        _ name: DeviceName, _ identifier: DeviceIdentifier, queues: Int?
    ) throws -> VersionRecord {
        var statement: VersionRecord.Statement?
        if let queues {
            var draft = DeviceSpecDraft()
            draft.queues = .multiple(try QueueCount(queues))
            statement = VersionRecord.Statement(labels: .none, spec: try DeviceSpec(draft))
        }
        return VersionRecord(
            name: name, identifier: identifier, change: queues == nil ? .deleted : .updated, statement: statement)
    }

    /// Other writes take revisions too; whichever are left for changes, the oldest are forgotten.
    @Test(arguments: [0, 1])
    func everySecondRevisionIsForgottenToo(remainder: Int) throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let (name, identifier) = (try DeviceName("web0"), DeviceIdentifier.random())
            _ = try store.write { transaction in
                for number in 1...2 * Store.changesMax {
                    let version = try Self.version(name, identifier, queues: 1 + number % 2)
                    try transaction.append(
                        ChangeRecord(
                            revision: 2 * number + remainder, at: Timestamp(microseconds: 1), author: Self.author,
                            versions: [version]))
                }
            }
            #expect(try store.changes(before: .max, limit: 10_000).count <= Store.changesMax + 16)
        }
    }

    @Test(arguments: [1, 2, 3])
    func whatIsKeptIsWhatWasStated(seed: UInt64) throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            var generator = SeededGenerator(seed: seed)
            let names = try (0..<6).map { try DeviceName("d\($0)") }
            var present: [DeviceName: VersionRecord] = [:]
            var past: [Int: [DeviceName: VersionRecord]] = [:]
            for revision in 1...300 {
                let chosen = names.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
                var versions: [VersionRecord] = []
                for name in chosen {
                    let identifier = present[name]?.identifier ?? .random()
                    let queues = Int.random(in: 0...4, using: &generator)
                    guard queues > 0 || present[name] != nil else { continue }
                    versions.append(try Self.version(name, identifier, queues: queues == 0 ? nil : queues))
                    present[name] = queues == 0 ? nil : versions.last
                }
                if !versions.isEmpty {
                    past[revision] = present
                    let change = ChangeRecord(
                        revision: revision, at: Timestamp(microseconds: 1), author: Self.author, versions: versions)
                    _ = try store.write { try $0.append(change) }
                }
                if revision % 50 == 0 {
                    try store.prune(changesMax: 40, versionsMax: seed == 3 ? 30 : 1_000)
                }
            }
            let kept = try store.changes(before: .max, limit: 1_000)
            #expect(kept.count <= 40 + 50)
            let oldest = try #require(kept.last?.revision)
            for revision in 1...300 {
                switch try store.statement(revision) {
                case .known(let change, let devices):
                    #expect(change.revision == revision)
                    #expect(revision >= oldest)
                    let expected = past[revision]?.values.sorted { $0.name < $1.name }.map(\.statement)
                    #expect(devices.map(\.statement) == expected, "seed \(seed), revision \(revision)")
                case .forgotten(let first):
                    #expect(first == oldest)
                    #expect(revision < oldest)
                case .none(let nearest):
                    #expect(past[revision] == nil)
                    #expect(nearest == past.keys.filter { $0 < revision }.max())
                }
            }
            // Nothing is kept of which nobody can tell.
            try store.prune(changesMax: 1, versionsMax: 1)
            let rows = try store.reading.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM device_version") ?? 0 }
            #expect(rows <= present.count + (kept.first?.versions.count ?? 0))
        }
    }
}

extension Store {
    fileprivate func prune(changesMax: Int, versionsMax: Int) throws {
        _ = try write { try $0.prune(changesMax: changesMax, versionsMax: versionsMax) }
    }
}
