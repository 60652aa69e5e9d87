import Foundation
import GRDB
import TapCore
import TapDocument
import TapStore
import TestSupport
import Testing

/// Database files whose bytes were changed.
@Suite struct DamageTests {
    private static let pageBytes = 4_096
    private static let flipsPerPage = 12

    /// Creates a database with devices, claims, queues and events, all in the one file.
    private static func fill(_ path: String) throws -> [DeviceRecord] {
        let store = try Store(path: path)
        for number in 0..<40 {
            var draft = DeviceSpecDraft()
            draft.queues = .multiple(try QueueCount(4))
            var device = DeviceRecord(
                name: try DeviceName("dev\(number)"), identifier: .random(), labels: .none, spec: try DeviceSpec(draft),
                createdAt: Timestamp(microseconds: 1_000_000))
            let assignment = Assignment(
                consumer: try ConsumerName("vm-\(number)"), cpus: [try CPUNumber(2)],
                assignedAt: Timestamp(microseconds: 7))
            device.assignments = [0: assignment, 2: assignment]
            device.disabledQueues = [1]
            try store.write { transaction in
                let revision = try transaction.nextRevision()
                let saved = try transaction.save(device, revision: revision)
                try transaction.saveQueues(of: saved, replacing: nil)
                let claim = Claim(
                    host: NamespaceIdentity(boot: "b", namespace: .max), index: LinkIndex(rawValue: Int32(number + 2)),
                    settings: DescriptorSettings(device.spec))
                try transaction.claim(claim, for: saved.name)
                try transaction.append(
                    EventRecord(
                        at: Timestamp(microseconds: 1), device: saved.name, reason: .converged, message: "\(number)"))
            }
        }
        return try store.load().devices
    }

    /// Either the damage is found at the start, and the error says what to do, or it is where it does no harm.
    @Test func flippedBytesAreDetectedOrHarmless() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SeededGenerator(seed: seed)
        try withTemporaryDirectory(in: "/dev/shm") { directory in
            let path = directory + "/t.db"
            let devices = try Self.fill(path)
            let sound = try Data(contentsOf: URL(fileURLWithPath: path))
            var found = 0
            for page in 0..<sound.count / Self.pageBytes {
                for _ in 0..<Self.flipsPerPage {
                    var bytes = sound
                    var places: [Int] = []
                    for _ in 0..<Int.random(in: 1...3, using: &generator) {
                        let place = page * Self.pageBytes + Int.random(in: 0..<Self.pageBytes, using: &generator)
                        bytes[place] ^= UInt8.random(in: 1...255, using: &generator)
                        places.append(place)
                    }
                    try bytes.write(to: URL(fileURLWithPath: path))
                    defer { for end in ["-wal", "-shm"] { unlink(path + end) } }
                    do {
                        let store = try Store(path: path)
                        var loaded = try store.load().devices
                        // The settled generation is not covered by the digest: the worker determines it again.
                        for position in loaded.indices { loaded[position].settledGeneration = 0 }
                        #expect(loaded == devices, "seed \(seed), bytes \(places)")
                        // Changes can be written, and so can the history.
                        _ = try store.write { try $0.save(devices[0], revision: $0.nextRevision()) }
                    } catch let error as StoreError {
                        found += 1
                        let isReported = error.description.contains("restore a backup") || error == .foreign(path: path)
                        #expect(isReported, "seed \(seed), bytes \(places): \(error)")
                    }
                }
            }
            #expect(found > 0)
        }
    }

    /// After damage was found while the daemon runs, nothing is written any more.
    @Test func aDamagedDatabaseIsNotWrittenAnyMore() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.db"
            _ = try Self.fill(path)
            let store = try Store(path: path)
            let name = try DeviceName("dev0")
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            for place in Self.pageBytes..<bytes.count { bytes[place] = 0xA5 }
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try file.write(contentsOf: bytes)
            #expect(throws: StoreError.self) { try store.events(after: 0, device: name, limit: 1_000) }
            guard let failure = store.failure, case .damaged = failure else {
                throw TestFailure("\(String(describing: store.failure))")
            }
            #expect(throws: failure) { try store.write { _ = try $0.nextRevision() } }
            #expect(throws: failure) { try store.record { _ = try $0.nextRevision() } }
        }
    }
}
