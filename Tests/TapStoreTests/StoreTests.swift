import Foundation
import GRDB
import Migrations
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
            host: HostIdentity(boot: "b", namespace: .max), index: LinkIndex(rawValue: index),
            settings: DescriptorSettings(try DeviceSpec(DeviceSpecDraft())))
    }

    @Test func whatIsWrittenIsThereAfterReopening() throws {
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

    @Test func aWriteThatThrowsLeavesNothing() throws {
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

    @Test func revisionsRiseWithEveryChange() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let record = try record()
            let revisions = try (0..<3).map { _ in
                try store.write { try $0.save(record, revision: $0.nextRevision()).revision }
            }
            #expect(revisions == [1, 2, 3])
        }
    }

    @Test func onlyWhatIsMarkedIsForgotten() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            var record = try record()
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            // Somebody took the mark of deletion back while the worker was about to forget the device.
            #expect(try !store.write { try $0.forget(record.identifier) })
            record.deletionRequestedAt = record.updatedAt
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            #expect(try store.write { try $0.forget(record.identifier) })
            #expect(try store.load().devices.isEmpty)
        }
    }

    @Test func oneInterfaceCannotBelongToTwo() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let (first, second) = (try record("a"), try record("b"))
            _ = try store.write { try $0.save(first, revision: $0.nextRevision()) }
            _ = try store.write { try $0.save(second, revision: $0.nextRevision()) }
            let claim = try claim(7)
            try store.record { try $0.claim(claim, for: first.name) }
            // INSERT OR REPLACE moves it: the newer proof counts.
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

    @Test func whatIsNoDatabaseIsRefused() throws {
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
                for number in 0..<Store.eventsMax + 600 {
                    try transaction.append(
                        EventRecord(
                            at: Timestamp(microseconds: Int64(number)), device: number % 2 == 0 ? web : db,
                            severity: .warning, reason: "Test", message: "\(number)",
                            difference: EventDifference(field: "link.mtu", wanted: 1_500, observed: .null)))
                }
            }
            let first = try #require(try store.events(after: 0, device: nil, limit: 1).first?.id)
            // What came of age by the last clean-up is gone, and nothing else.
            #expect(first == (Store.eventsMax + 600) / 256 * 256 - Store.eventsMax + 1)
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

    /// An interface that flaps does not hide who did what.
    @Test func whatSomebodyDidIsKeptLonger() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let author = Author(name: "uid:0", source: "pid 1", request: "r")
            let count = Store.eventsMax + 2_000
            try store.record { transaction in
                for number in 1...count {
                    try transaction.append(
                        EventRecord(
                            at: Timestamp(microseconds: Int64(number)), device: nil, reason: "Test",
                            message: "\(number)", author: number % 100 == 0 ? author : nil))
                }
            }
            let kept = try store.events(after: 0, device: nil, limit: count)
            #expect(kept.filter { $0.author != nil }.count == count / 100)
            let last = count / 256 * 256 - Store.eventsMax
            #expect(kept.filter { $0.author == nil }.map(\.id) == (last + 1...count).filter { $0 % 100 != 0 })
        }
    }

    /// The texts of a row may be those that an earlier version wrote, with its digest over them.
    @Test func whatAnEarlierVersionWroteCanBeDeleted() throws {
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

    @Test func theDiskIsWaitedForWhereItCounts() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            #expect(try store.synchronousLevel() == 2)
            let record = try record()
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            // A relaxed write must not leave the connection relaxed.
            try store.record { try $0.settle(record.identifier, generation: 1) }
            #expect(try store.synchronousLevel() == 2)
        }
    }
}

/// Every migration from the schema before it, with data in it.
@Suite struct MigrationTests {
    /// What a database of each schema holds; a new migration adds the contents of the one before it.
    private let contents: [String: String] = [
        "m0001_devices": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4}', 2, 5, 1, 2, NULL, 2);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 12, 12, 7);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1);
        INSERT INTO event (at, device, type, reason, message) VALUES (1, 'web0', 'Normal', 'Converged', 'x');
        """,
        "m0002_reconciler": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4}', 2, 5, 1, 2, NULL, 2, 2);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1);
        INSERT INTO apply VALUES (5, 1, 'pending');
        INSERT INTO apply_device VALUES (5, 'web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', 0, '{}', '{}', 1);
        """,
        "m0003_queues": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4}', 2, 5, 1, 2, NULL, 2, 2);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1);
        INSERT INTO disabled_queue VALUES ('web0', 1);
        INSERT INTO apply VALUES (5, 1, 'pending');
        INSERT INTO apply_device VALUES (5, 'web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', 0, '{}', '{}', 1,
            '[{"queue":3,"consumer":"vm-42","cpus":[2,3],"assignedAt":1}]', '[1]');
        """,
        "m0004_history": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4}', 2, 5, 1, 2, NULL, 2, 2, NULL);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0, NULL);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1, NULL);
        INSERT INTO disabled_queue VALUES ('web0', 1, NULL);
        INSERT INTO change VALUES (3, 1, 'uid:0', 'pid 1', 'r', 2), (5, 1, 'uid:0', 'pid 1', 'r', 2);
        INSERT INTO device_version VALUES ('web0', 3, '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{}', '{"queues":2}');
        INSERT INTO device_version VALUES ('db0', 3, '0d4f6f27-1d16-4ac4-84c9-af479f79a62a', '{}', '{}');
        INSERT INTO device_version VALUES ('web0', 5, '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4}');
        INSERT INTO device_version VALUES ('db0', 5, '0d4f6f27-1d16-4ac4-84c9-af479f79a62a', NULL, NULL);
        INSERT INTO event (id, at, device, type, reason, message, actor, source, request, revision)
            VALUES (41, 1, 'web0', 'Normal', 'Updated', 'x', 'uid:0', 'pid 1', 'r', 5);
        """,
        "m0005_history_order": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4}', 2, 5, 1, 2, NULL, 2, 2, NULL);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0, NULL);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1, NULL);
        INSERT INTO disabled_queue VALUES ('web0', 1, NULL);
        INSERT INTO change VALUES (5, 1, 1, 'uid:0', 'pid 1', 'r', 1, 0);
        INSERT INTO device_version VALUES (5, 'web0', 3, '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{}', '{"queues":2}');
        """,
    ]

    @Test func everySchemaHasContents() {
        #expect(Set(contents.keys) == Set(Migration.all.map(\.identifier)))
    }

    /// A database of an earlier version, with its contents.
    private func fill(_ path: String, upTo last: Int) throws {
        let queue = try DatabaseQueue(path: path)
        var migrator = DatabaseMigrator()
        for migration in Migration.all[0...last] {
            migrator.registerMigration(migration.identifier) { try $0.execute(sql: migration.sql) }
        }
        try migrator.migrate(queue)
        try queue.write { try $0.execute(sql: contents[Migration.all[last].identifier] ?? "") }
    }

    @Test(arguments: Migration.all.indices)
    func fromTheSchemaBeforeWithItsData(last: Int) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try fill(path, upTo: last)
            let (devices, revision) = try Store(path: path).load()
            #expect(revision == 5)
            #expect(devices.map(\.name.text) == ["web0"])
            #expect(devices.first?.spec.queues.count.value == 4)
            #expect(devices.first?.claim?.index == LinkIndex(rawValue: 12))
            #expect(devices.first?.assignments.mapValues(\.consumer.text) == [3: "vm-42"])
            #expect(devices.first?.assignments[3]?.cpus == [2, 3])
            #expect(devices.first?.disabledQueues == (last < 2 ? [] : [1]))
            try DatabaseQueue(path: path).read { (database) throws in
                #expect(try String.fetchAll(database, sql: "PRAGMA integrity_check") == ["ok"])
                #expect(try Row.fetchAll(database, sql: "PRAGMA foreign_key_check").isEmpty)
                #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM queue_assignment") == 1)
            }
        }
    }

    /// RFC 9562, section 5.4.
    @Test func identifiersAreRandomUUIDs() throws {
        let texts = (0..<1_000).map { _ in DeviceIdentifier.random().text }
        #expect(Set(texts).count == texts.count)
        for text in texts {
            #expect(text.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
        }
    }

    @Test func historyComesAlong() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try fill(path, upTo: 3)
            let store = try Store(path: path)
            #expect(
                try store.changes(before: .max, limit: 10).map { $0.devices.map(\.change) } == [
                    [.deleted, .updated], [.created, .created],
                ])
            for (revision, queues) in [(3, [1, 2]), (5, [4])] {
                guard case .known(_, let devices) = try store.statement(revision) else {
                    throw TestFailure("revision \(revision) is not known")
                }
                #expect(devices.map(\.spec.queues.count.value) == queues)
            }
            #expect(try store.events(after: 0, device: nil, limit: 10).map(\.id) == [41])
            #expect(try store.events(after: 0, device: nil, limit: 10).first?.author?.name == "uid:0")
            try store.record {
                try $0.append(
                    EventRecord(at: Timestamp(microseconds: 2), device: nil, reason: "Test", message: "the next one"))
            }
            #expect(try store.events(after: 41, device: nil, limit: 10).map(\.id) == [42])
            let places = try store.reading.read {
                try String.fetchAll($0, sql: "SELECT place || ' ' || earlier FROM change ORDER BY revision")
            }
            #expect(places == ["1 0", "2 2"])
            // What is stated now is kept as it was when the next one states something else.
            var record = try #require(try store.load().devices.first)
            record.labels = .none
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            guard case .known(_, let devices) = try store.statement(5) else { throw TestFailure("5 is not known") }
            #expect(devices.map(\.labels.document) == [["vm": "web"]])

        }
    }

    /// Of before it was kept: the devices that were there then can be gone back to.
    @Test func historyBeginsWithWhatWasStated() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try fill(path, upTo: 2)
            do { try DatabaseQueue(path: path).write { try $0.execute(sql: "UPDATE revision SET current = 100") } }
            let store = try Store(path: path)
            let beginning = try #require(try store.changes(before: .max, limit: 10).first?.record.revision)
            var record = try #require(try store.load().devices.first)
            record.labels = .none
            for _ in 0..<2 {
                guard case .known(let change, let devices) = try store.statement(beginning) else {
                    throw TestFailure("revision \(beginning) is not known")
                }
                #expect(change.record.author.source == "migration")
                #expect(devices.map(\.labels.document) == [["vm": "web"]])
                // And still, when another thing is stated.
                _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            }
        }
    }

    @Test func noMoreAnswersAreRememberedThanMayBe() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            let store = try Store(path: path)
            let now = Timestamp(microseconds: 1_000_000 * Int64(Store.answerSecondsMax + 10))
            let (known, new) = (try IdempotencyKey("1"), try IdempotencyKey("new"))
            try DatabaseQueue(path: path).write {
                try $0.execute(
                    sql: """
                        WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
                        INSERT INTO idempotency_key (actor, key, fingerprint, at, status, headers, body)
                        SELECT 'uid:0', n, zeroblob(32), ?, 201, '{}', x'' FROM number
                        """, arguments: [Store.answersMax, now.microseconds - 1])
            }
            try store.write { (transaction) throws in
                #expect(try transaction.answer(to: known, of: "uid:0", at: now)?.status == 201)
                #expect(throws: StoreError.tooManyAnswers(count: Store.answersMax)) {
                    try transaction.answer(to: new, of: "uid:0", at: now)
                }
                // They are worth nothing a day later.
                let later = Timestamp(microseconds: now.microseconds + 1_000_000 * Int64(Store.answerSecondsMax))
                #expect(try transaction.answer(to: new, of: "uid:0", at: later) == nil)
            }
        }
    }

    @Test func constraintsHoldInSQLToo() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            do { _ = try Store(path: path) }
            let queue = try DatabaseQueue(path: path)
            try queue.write {
                try $0.execute(
                    sql: """
                        INSERT INTO device VALUES ('web0', '\(Self.uid)', '{}', '{}', 1, 1, 1, 1, NULL, 0, 0, NULL);
                        INSERT INTO apply VALUES (1, 1, 'pending')
                        """)
            }
            let other = "0d4f6f27-1d16-4ac4-84c9-af479f79a62a"
            for bad in [
                "INSERT INTO device VALUES ('sixteen-bytes-xx', '\(other)', '{}', '{}', 1, 1, 1, 1, NULL, 0, 0, NULL)",
                "INSERT INTO device VALUES ('a', 'short', '{}', '{}', 1, 1, 1, 1, NULL, 0, 0, NULL)",
                "INSERT INTO device VALUES ('a', '\(Self.uid)', '{}', '{}', 1, 1, 1, 1, NULL, 0, 0, NULL)",
                "INSERT INTO device VALUES ('a', '\(other)', '{', '{}', 1, 1, 1, 1, NULL, 0, 0, NULL)",
                "INSERT INTO device VALUES ('a', '\(other)', '{}', '{}', 1, 1, 1, 1, NULL, 2, 0, NULL)",
                "INSERT INTO claim VALUES ('missing', 'b', 1, NULL, 1, 12, 0, 0, NULL)",
                "INSERT INTO queue_assignment VALUES ('missing', 0, 'c', '[]', 1, NULL)",
                "INSERT INTO queue_assignment VALUES ('web0', 255, 'c', '[]', 1, NULL)",
                "INSERT INTO queue_assignment VALUES ('web0', 0, '', '[]', 1, NULL)",
                "INSERT INTO queue_assignment VALUES ('web0', 0, 'c', '{}', 1, NULL)",
                "INSERT INTO disabled_queue VALUES ('missing', 0, NULL)",
                "INSERT INTO disabled_queue VALUES ('web0', -1, NULL)",
                "INSERT INTO disabled_queue VALUES ('web0', 255, NULL)",
                "INSERT INTO apply_device (revision, device, uid, pruned, assignments) VALUES (1, 'a', 'u', 0, '{}')",
                "INSERT INTO event (at, type, reason, message) VALUES (1, 'Loud', 'a', 'b')",
                "INSERT INTO revision VALUES (2, 1)",
            ] {
                // Refused for what it says, and not for what it leaves out.
                let error = #expect(throws: DatabaseError.self, "\(bad)") {
                    try queue.write { try $0.execute(sql: bad) }
                }
                #expect(error?.resultCode == .SQLITE_CONSTRAINT, "\(bad)")
            }
        }
    }

    private static let uid = "0d4f6f27-1d16-4ac4-84c9-af479f79a629"
}
