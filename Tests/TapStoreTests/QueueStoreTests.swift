import GRDB
import TapCore
import TapDocument
import TapStore
import TestSupport
import Testing

/// Queues' assignments, and disabled queues.
@Suite struct QueueStoreTests {
    private func record(_ name: String = "web0") throws -> DeviceRecord {
        var draft = DeviceSpecDraft()
        draft.queues = .multiple(try QueueCount(4))
        return DeviceRecord(
            name: try DeviceName(name), identifier: .random(), labels: .none, spec: try DeviceSpec(draft),
            createdAt: Timestamp(microseconds: 1_000_000))
    }

    private func assignment(_ consumer: String, _ cpus: [Int] = []) throws -> Assignment {
        Assignment(
            consumer: try ConsumerName(consumer), cpus: try cpus.map { try CPUNumber($0) },
            assignedAt: Timestamp(microseconds: 7))
    }

    private func devices(_ store: Store) throws -> [DeviceRecord] {
        try store.load().devices.sorted { $0.name < $1.name }
    }

    /// Two devices, of which only the second has assigned and disabled queues.
    private func makeDevices(_ store: Store) throws -> (plain: DeviceRecord, assigned: DeviceRecord) {
        let (plain, bare) = (try record("a"), try record("b"))
        var assigned = bare
        assigned.assignments = [0: try assignment("vm-1", [3, 2, 3]), 3: try assignment("vm-2")]
        assigned.disabledQueues = [1, 3]
        return try store.write { transaction in
            let revision = try transaction.nextRevision()
            let plain = try transaction.save(plain, revision: revision)
            assigned = try transaction.save(assigned, revision: revision)
            try transaction.saveQueues(of: assigned, replacing: bare)
            return (plain, assigned)
        }
    }

    @Test func queuesAreLoadedAfterReopening() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            let (plain, assigned) = try makeDevices(try Store(path: path))
            #expect(try devices(try Store(path: path)) == [plain, assigned])
            #expect(assigned.assignments[0]?.cpus == [2, 3])
        }
    }

    @Test func differencesAreWritten() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let (plain, old) = try makeDevices(store)
            var new = old
            new.assignments = [0: try assignment("vm-1", [5]), 1: try assignment("vm-3")]
            new.disabledQueues = [0, 1]
            try store.record { try $0.saveQueues(of: new, replacing: old) }
            #expect(try devices(store) == [plain, new])
            // If the stored queues are not known, all are written, and replace existing rows.
            try store.record { try $0.saveQueues(of: new, replacing: nil) }
            #expect(try devices(store) == [plain, new])
        }
    }

    @Test func savingADeviceKeepsItsQueues() throws {
        try withTemporaryDirectory { directory in
            let store = try Store(path: directory + "/t.db")
            let (_, assigned) = try makeDevices(store)
            var bare = try record("b")
            bare = DeviceRecord(
                name: bare.name, identifier: assigned.identifier, labels: .none, spec: bare.spec,
                createdAt: bare.createdAt)
            _ = try store.write { try $0.save(bare, revision: $0.nextRevision()) }
            let loaded = try #require(try devices(store).last)
            #expect(loaded.assignments == assigned.assignments)
            #expect(loaded.disabledQueues == assigned.disabledQueues)
        }
    }

    @Test func queuesAreDeletedWithTheirDevice() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            do {
                let store = try Store(path: path)
                var (_, deleted) = try makeDevices(store)
                deleted.deletionRequestedAt = deleted.updatedAt
                _ = try store.write { try $0.markDeleted(deleted, revision: $0.nextRevision()) }
                #expect(try store.write { try $0.forget(deleted.identifier) })
            }
            try DatabaseQueue(path: path).read { (database) throws in
                #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM queue_assignment") == 0)
                #expect(try Int.fetchOne(database, sql: "SELECT count(*) FROM disabled_queue") == 0)
            }
        }
    }

    @Test func aTrialStoresQueues() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            let (plain, assigned) = try makeDevices(try Store(path: path))
            let trial = TrialRecord(
                revision: 2, confirmBy: Timestamp(microseconds: 9),
                devices: [plain, assigned].map {
                    TrialRecord.Device(name: $0.name, identifier: $0.identifier, isPruned: true, before: .init($0))
                })
            try Store(path: path).record { try $0.begin(trial) }
            #expect(try Store(path: path).pendingTrial() == trial)
        }
    }

    @Test(arguments: [
        "INSERT INTO queue_assignment VALUES ('a', 0, '-vm', '[]', 1, NULL)",
        "INSERT INTO queue_assignment VALUES ('a', 0, 'vm', '[8192]', 1, NULL)",
        "INSERT INTO queue_assignment VALUES ('a', 0, 'vm', '[\"1\"]', 1, NULL)",
    ])
    func anInvalidAssignmentIsReportedWithItsQueue(sql: String) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            do { _ = try makeDevices(try Store(path: path)) }
            do { try DatabaseQueue(path: path).write { try $0.execute(sql: sql) } }
            let error = #expect(throws: StoreError.self) { try Store(path: path).load() }
            #expect("\(try #require(error))".contains("queue 0 of 'a'"))
        }
    }
}
