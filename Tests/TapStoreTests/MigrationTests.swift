import GRDB
import Migrations
import TapCore
import TapDocument
import TestSupport
import Testing

@testable import TapStore

/// Migrations from every earlier schema, with data in it.
@Suite struct MigrationTests {
    /// Contents of a database of each schema. A new migration needs those of the schema before it.
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
        "m0006_ipv6": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4,"link":{"ipv6":"stated"}}', 2, 5, 1, 2, NULL, 2, 2, NULL);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0, NULL);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1, NULL);
        INSERT INTO disabled_queue VALUES ('web0', 1, NULL);
        """,
        "m0007_reached_spec": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4,"link":{"ipv6":"stated"}}', 2, 5, 1, 2, NULL, 2, 2, NULL);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0, NULL);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1, NULL);
        INSERT INTO disabled_queue VALUES ('web0', 1, NULL);
        INSERT INTO reached_spec VALUES ('web0', '{"queues":2}');
        """,
        "m0008_claim_inode": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4,"link":{"ipv6":"stated"}}', 2, 5, 1, 2, NULL, 2, 2, NULL);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0, NULL, -1);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1, NULL);
        INSERT INTO disabled_queue VALUES ('web0', 1, NULL);
        INSERT INTO change VALUES (5, 1, 1, 'uid:0', 'pid 1', 'r', 1, 0);
        INSERT INTO device_version VALUES (5, 'web0', 3, '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{}', '{"queues":2}');
        """,
        "m0009_event_lease": """
        UPDATE revision SET current = 5;
        INSERT INTO device VALUES ('web0', '0d4f6f27-1d16-4ac4-84c9-af479f79a629', '{"vm":"web"}',
            '{"queues":4,"link":{"ipv6":"stated"}}', 2, 5, 1, 2, NULL, 2, 2, NULL);
        INSERT INTO claim VALUES ('web0', 'boot', 7, 'blue', 12, 12, NULL, 0, NULL, -1);
        INSERT INTO queue_assignment VALUES ('web0', 3, 'vm-42', '[2,3]', 1, NULL);
        INSERT INTO disabled_queue VALUES ('web0', 1, NULL);
        INSERT INTO event (id, at, device, type, reason, message, lease)
            VALUES (41, 1, 'web0', 'Normal', 'LeaseGranted', 'x', '{}');
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
    func dataOfEarlierSchemasIsMigrated(last: Int) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try fill(path, upTo: last)
            let (devices, revision) = try Store(path: path).load()
            #expect(revision == 5)
            #expect(devices.map(\.name.text) == ["web0"])
            #expect(devices.first?.spec.queues.count.value == 4)
            #expect(devices.first?.claim?.index == LinkIndex(rawValue: 12))
            #expect(devices.first?.claim?.inode == (Migration.all[last].identifier < "m0008" ? nil : .max))
            #expect(devices.first?.assignments.mapValues(\.consumer.text) == [3: "vm-42"])
            #expect(devices.first?.assignments[3]?.cpus == [2, 3])
            #expect(devices.first?.disabledQueues == (last < 2 ? [] : [1]))
            #expect(devices.first?.spec.link.ipv6 == (last < 5 ? .kernelDefault : .stated))
            try DatabaseQueue(path: path).read { (database) throws in
                #expect(try String.fetchAll(database, sql: "PRAGMA integrity_check") == ["ok"])
                #expect(try Row.fetchAll(database, sql: "PRAGMA foreign_key_check").isEmpty)
                #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM queue_assignment") == 1)
            }
        }
    }

    /// A device of an earlier version keeps its IPv6, and says so once.
    @Test func ipv6StaysTheKernels() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try fill(path, upTo: 4)
            for _ in 0..<2 {
                let store = try Store(path: path)
                let told = try store.events(after: 0, device: try DeviceName("web0"), limit: 10)
                    .filter { $0.reason == EventReason.ipv6KernelDefault.rawValue }
                #expect(told.map(\.severity) == [OpenEnum(.warning)])
                // A rollback must not turn it off either.
                guard case .known(_, let earlier) = try store.wantedState(at: 5) else { throw TestFailure("unknown") }
                #expect(earlier.map(\.spec.link.ipv6) == [.kernelDefault])
            }
            let store = try Store(path: path)
            var record = try #require(try store.load().devices.first)
            record.labels = .none
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            #expect(try store.load().devices.map(\.spec.link.ipv6) == [.kernelDefault])
        }
    }

    @Test func historyIsMigrated() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try fill(path, upTo: 3)
            let store = try Store(path: path)
            #expect(
                try store.changes(before: .max, limit: 10).map { $0.devices.map(\.change.known) } == [
                    [.deleted, .updated], [.created, .created],
                ])
            for (revision, queues) in [(3, [1, 2]), (5, [4])] {
                guard case .known(_, let devices) = try store.wantedState(at: revision) else {
                    throw TestFailure("revision \(revision) is not known")
                }
                #expect(devices.map(\.spec.queues.count.value) == queues)
            }
            #expect(try store.events(after: 0, device: nil, limit: 10).map(\.id) == [41, 42])
            #expect(try store.events(after: 0, device: nil, limit: 10).first?.author?.name == "uid:0")
            try store.record {
                try $0.append(
                    EventRecord(
                        at: Timestamp(microseconds: 2), device: nil, reason: .converged, message: "the next one"))
            }
            #expect(try store.events(after: 42, device: nil, limit: 10).map(\.id) == [43])
            let places = try store.reading.read {
                try String.fetchAll($0, sql: "SELECT place || ' ' || earlier FROM change ORDER BY revision")
            }
            #expect(places == ["1 0", "2 2"])
            // The current version is kept when the next change replaces it.
            var record = try #require(try store.load().devices.first)
            record.labels = .none
            _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            guard case .known(_, let devices) = try store.wantedState(at: 5) else {
                throw TestFailure("5 is not known")
            }
            #expect(devices.map(\.labels.document) == [["vm": "web"]])

        }
    }

    /// A schema without history: the devices at the time of the migration can be rolled back to.
    @Test func historyBeginsWithTheMigratedDevices() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            try fill(path, upTo: 2)
            do { try DatabaseQueue(path: path).write { try $0.execute(sql: "UPDATE revision SET current = 100") } }
            let store = try Store(path: path)
            let beginning = try #require(try store.changes(before: .max, limit: 10).first?.record.revision)
            var record = try #require(try store.load().devices.first)
            record.labels = .none
            for _ in 0..<2 {
                guard case .known(let change, let devices) = try store.wantedState(at: beginning) else {
                    throw TestFailure("revision \(beginning) is not known")
                }
                #expect(change.record.author.source == "migration")
                #expect(devices.map(\.labels.document) == [["vm": "web"]])
                // It stays readable after the device has changed.
                _ = try store.write { try $0.save(record, revision: $0.nextRevision()) }
            }
        }
    }

    @Test func constraintsRejectInvalidRows() throws {
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
                "INSERT INTO claim VALUES ('missing', 'b', 1, NULL, 1, 12, 0, 0, NULL, NULL)",
                "INSERT INTO queue_assignment VALUES ('missing', 0, 'c', '[]', 1, NULL)",
                "INSERT INTO queue_assignment VALUES ('web0', 255, 'c', '[]', 1, NULL)",
                "INSERT INTO queue_assignment VALUES ('web0', 0, '', '[]', 1, NULL)",
                "INSERT INTO queue_assignment VALUES ('web0', 0, 'c', '{}', 1, NULL)",
                "INSERT INTO disabled_queue VALUES ('missing', 0, NULL)",
                "INSERT INTO disabled_queue VALUES ('web0', -1, NULL)",
                "INSERT INTO disabled_queue VALUES ('web0', 255, NULL)",
                "INSERT INTO apply_device (revision, device, uid, pruned, assignments) VALUES (1, 'a', 'u', 0, '{}')",
                "INSERT INTO reached_spec VALUES ('missing', '{}')",
                "INSERT INTO reached_spec VALUES ('web0', '{')",
                "INSERT INTO event (at, type, reason, message) VALUES (1, 'Loud', 'a', 'b')",
                "INSERT INTO event (at, type, reason, message, lease) VALUES (1, 'Normal', 'a', 'b', '{')",
                "INSERT INTO revision VALUES (2, 1)",
            ] {
                // Refused by a constraint, not for a syntax error or a missing value.
                let error = #expect(throws: DatabaseError.self, "\(bad)") {
                    try queue.write { try $0.execute(sql: bad) }
                }
                #expect(error?.resultCode == .SQLITE_CONSTRAINT, "\(bad)")
            }
        }
    }

    private static let uid = "0d4f6f27-1d16-4ac4-84c9-af479f79a629"
}
