import Foundation
import GRDB
import TapCore
import TapDocument
import TestSupport
import Testing

@testable import TapStore

@Suite struct StoreTests {
    private func record(_ name: String = "web0") throws -> DeviceRecord {
        DeviceRecord(
            name: try DeviceName(name), identifier: .random(), labels: .none, spec: try DeviceSpec(DeviceSpecDraft()),
            createdAt: Timestamp(microseconds: 1_000_000))
    }

    private func claim(_ index: Int32) throws -> Claim {
        Claim(
            host: NamespaceIdentity(boot: "b", namespace: .max), index: LinkIndex(rawValue: index),
            settings: DescriptorSettings(try DeviceSpec(DeviceSpecDraft())))
    }

    @Test func writtenDataIsLoadedAfterReopening() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            var saved = try record()
            do {
                let store = try Store(path: path)
                saved = try store.write { try $0.save(saved, revision: $0.nextRevision()) }
                let claim = try claim(7)
                try store.record {
                    try $0.claim(claim, for: saved.name)
                    try $0.settle(saved.identifier, generation: 1)
                }
                saved.claim = claim
                saved.settledGeneration = 1
            }
            let (devices, revision) = try Store(path: path).load()
            #expect(devices == [saved])
            #expect(revision == 1)
        }
    }

    @Test func aWriteThatThrowsIsRolledBack() throws {
        struct Stop: Error {}
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let record = try record()
            #expect(throws: Stop.self) {
                try store.write { transaction in
                    _ = try transaction.save(record, revision: transaction.nextRevision())
                    throw Stop()
                }
            }
            #expect(try store.load().devices.isEmpty)
            #expect(try store.load().revision == 0)
        }
    }

    @Test func everyChangeIncrementsTheRevision() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let record = try record()
            let revisions = try (0..<3).map { _ in
                try store.write { try $0.save(record, revision: $0.nextRevision()).revision }
            }
            #expect(revisions == [1, 2, 3])
        }
    }

    @Test func onlyDevicesMarkedForDeletionAreRemoved() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            var record = try record()
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            // A client wanted the device again just before the worker removed it.
            #expect(try !store.write { try $0.forget(record.identifier) })
            record.deletionRequestedAt = record.updatedAt
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            #expect(try store.write { try $0.forget(record.identifier) })
            #expect(try store.load().devices.isEmpty)
        }
    }

    @Test func anInterfaceBelongsToOneDevice() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let (first, second) = (try record("a"), try record("b"))
            _ = try store.write { try $0.save(first, revision: $0.nextRevision()) }
            _ = try store.write { try $0.save(second, revision: $0.nextRevision()) }
            let claim = try claim(7)
            try store.record { try $0.claim(claim, for: first.name) }
            // INSERT OR REPLACE moves the claim: the newer one is valid.
            try store.record { try $0.claim(claim, for: second.name) }
            let claims = try store.load().devices.filter { $0.claim != nil }.map(\.name.text)
            #expect(claims == ["b"])
        }
    }

    @Test func aSecondDaemonIsRefused() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            let first = try Store(path: path)
            #expect(throws: StoreError.inUse(path: path)) { try Store(path: path) }
            _ = first.path
        }
    }

    @Test func aNewerDatabaseIsRefused() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            do { _ = try Store(path: path) }
            do {
                let queue = try DatabaseQueue(path: path)
                try queue.write {
                    try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('m9999_future')")
                }
            }
            #expect(throws: StoreError.tooNew(path: path, unknown: ["m9999_future"])) { try Store(path: path) }
        }
    }

    @Test func aForeignDatabaseIsRefused() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            do { try DatabaseQueue(path: path).write { try $0.execute(sql: "CREATE TABLE theirs (a)") } }
            #expect(throws: StoreError.foreign(path: path)) { try Store(path: path) }
            let tables = try DatabaseQueue(path: path).read {
                try String.fetchAll($0, sql: "SELECT name FROM sqlite_master")
            }
            #expect(tables == ["theirs"])
        }
    }

    @Test func aFileThatIsNotADatabaseIsRefused() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try Data(repeating: 0x41, count: 8_192).write(to: URL(fileURLWithPath: path))
            #expect(throws: StoreError.self) { try Store(path: path) }
        }
    }

    @Test func damageIsFoundAtTheStart() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            do {
                let store = try Store(path: path)
                for number in 0..<50 {
                    let record = try record("d\(number)")
                    _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
                }
            }
            do {
                try DatabaseQueue(path: path).writeWithoutTransaction {
                    try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
                }
            }
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            for position in 4_096..<bytes.count where position % 7 == 0 { bytes[position] ^= 0xFF }
            try bytes.write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: StoreError.self) { try Store(path: path) }
            #expect("\(try #require(error))".contains("damaged"))
        }
    }

    @Test func eventsAreReadInOrderAndPruned() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let (web, db) = (try DeviceName("web0"), try DeviceName("db0"))
            try store.record { transaction in
                for number in 0..<HistoryLimits.eventsMax + 600 {
                    try transaction.append(
                        EventRecord(
                            at: Timestamp(microseconds: Int64(number)), device: number % 2 == 0 ? web : db,
                            severity: .warning, reason: .converged, message: "\(number)",
                            difference: FieldDifference(field: "link.mtu", wanted: 1_500, observed: .null)))
                }
            }
            let first = try #require(try store.events(after: 0, device: nil, limit: 1).first?.id)
            // Only the events beyond the limit at the last pruning are deleted.
            #expect(first == (HistoryLimits.eventsMax + 600) / 256 * 256 - HistoryLimits.eventsMax + 1)
            let events = try store.events(after: first, device: db, limit: 3)
            #expect(events.map(\.device) == [db, db, db])
            #expect(events.map(\.id) == events.compactMap(\.id).sorted())
            #expect(events.first?.difference?.wanted == 1_500)
            let all = try store.events(after: 0, device: nil, limit: .max)
            for id in [0, first, first + 255, first + 5_000, first + all.count - 2, first + all.count, .max] {
                for limit in [1, 300, 100_000] {
                    let found = try store.events(after: id, device: db, limit: limit).compactMap(\.id)
                    let expected = all.filter { $0.device == db }.compactMap(\.id).filter { $0 > id }.prefix(limit)
                    #expect(found == Array(expected), "after \(id), at most \(limit)")
                }
            }
            #expect(try store.events(after: 0, device: DeviceName("other"), limit: 10).isEmpty)
        }
    }

    /// Events of a flapping interface do not displace those of clients.
    @Test func eventsWithAnAuthorAreKeptLonger() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let author = Author(name: "uid:0", source: "pid 1", request: "r")
            let count = HistoryLimits.eventsMax + 2_000
            try store.record { transaction in
                for number in 1...count {
                    try transaction.append(
                        EventRecord(
                            at: Timestamp(microseconds: Int64(number)), device: nil, reason: .converged,
                            message: "\(number)", author: number % 100 == 0 ? author : nil))
                }
            }
            let kept = try store.events(after: 0, device: nil, limit: count)
            #expect(kept.filter { $0.author != nil }.count == count / 100)
            let last = count / 256 * 256 - HistoryLimits.eventsMax
            #expect(kept.filter { $0.author == nil }.map(\.id) == (last + 1...count).filter { $0 % 100 != 0 })
        }
    }

    /// An earlier version may have written another JSON text of the same value, and the digest of that text.
    @Test func rowsOfEarlierVersionsCanBeDeleted() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            var saved = try record()
            do { saved = try Store(path: path).write { try $0.save(saved, revision: $0.nextRevision()) } }
            let queue = try DatabaseQueue(path: path)
            try queue.write { (database) throws in
                let sorted = saved.spec.document.text
                #expect(sorted != saved.spec.text)
                let digest = RowDigest.of(
                    saved.name.text, saved.identifier.text, saved.labels.text, sorted, "\(saved.generation)",
                    "\(saved.revision)", "\(saved.createdAt.microseconds)", "\(saved.updatedAt.microseconds)", nil,
                    "\(saved.recreateGeneration)")
                try database.execute(sql: "UPDATE device SET spec = ?, digest = ?", arguments: [sorted, digest])
            }
            try queue.close()
            saved.deletionRequestedAt = saved.updatedAt
            do {
                let store = try Store(path: path)
                #expect(try store.load().devices.count == 1)
                saved = try store.write { try $0.markDeleted(saved, revision: $0.nextRevision()) }
            }
            #expect(try Store(path: path).load().devices == [saved])
        }
    }

    @Test func anotherDevicesRowIsNotOverwritten() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let (one, other) = (try record(), try record())
            let saved = try store.write { try $0.save(one, revision: $0.nextRevision()) }
            #expect(throws: StoreError.self) {
                try store.write { _ = try $0.save(other, revision: $0.nextRevision()) }
            }
            #expect(try store.load().devices == [saved])
        }
    }

    @Test func recordsDoNotLowerTheSynchronousLevel() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            #expect(try store.synchronousLevel() == 2)
            let record = try record()
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            // A write that does not wait for the disk must restore the level.
            try store.record { try $0.settle(record.identifier, generation: 1) }
            #expect(try store.synchronousLevel() == 2)
        }
    }

    /// RFC 9562, section 5.8.
    @Test func identifiersAreRandomUUIDs() throws {
        let texts = (0..<1_000).map { _ in DeviceIdentifier.random().text }
        #expect(Set(texts).count == texts.count)
        for text in texts {
            #expect(text.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
        }
    }

    @Test func storedAnswersAreLimited() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            let store = try Store(path: path)
            let now = Timestamp(microseconds: 1_000_000 * Int64(HistoryLimits.answerSecondsMax + 10))
            let (known, new) = (try IdempotencyKey("1"), try IdempotencyKey("new"))
            try DatabaseQueue(path: path).write {
                try $0.execute(
                    sql: """
                        WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
                        INSERT INTO idempotency_key (actor, key, fingerprint, at, status, headers, body)
                        SELECT 'uid:0', n, zeroblob(32), ?, 201, '{}', x'' FROM number
                        """, arguments: [HistoryLimits.answersMax, now.microseconds - 1])
            }
            try store.write { (transaction) throws in
                #expect(try transaction.answer(to: known, of: "uid:0", at: now)?.status == 201)
                #expect(throws: StoreError.tooManyAnswers(count: HistoryLimits.answersMax)) {
                    try transaction.answer(to: new, of: "uid:0", at: now)
                }
                // A day later they have expired.
                let later = Timestamp(
                    microseconds: now.microseconds + 1_000_000 * Int64(HistoryLimits.answerSecondsMax))
                #expect(try transaction.answer(to: new, of: "uid:0", at: later) == nil)
            }
        }
    }
}
