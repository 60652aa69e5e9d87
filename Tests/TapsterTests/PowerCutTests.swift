import Foundation
import Glibc
import Synchronization
import TapCore
import TapDocument
import TapStore
import TestSupport
import Testing

/// The power is cut at any point of a daemon's life: no acknowledged write is lost, and the database is intact.
///
/// `TAPSTER_SOAK_STEPS` is the number of points; `TAPSTER_SOAK_SEED` reproduces a failure.
@Suite(.privileged) struct PowerCutTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let cuts = environment["TAPSTER_SOAK_STEPS"].flatMap { Int($0) } ?? 1_000

    /// An answer that a client got.
    private struct Reply {
        /// The length of the record at that time.
        let end: Int
        /// The revision of an accepted write; `nil` for a refused one.
        let revision: Int?
        let device: String
        /// Increases with each write.
        let number: Int
    }

    @Test func nothingAcknowledgedIsLost() async throws {
        try await Self.withHistory(share: 0.7) { history in
            try history.write(60)
            try history.writeConcurrently(20)
            try history.write(60)
            // Its orderly end moves the log into the database and removes it.
            #expect(history.daemon.stop() == 0)
            try history.start()
            try history.write(20)
            try history.die()
            try history.start()
            try history.write(20)
        }
    }

    /// While the disk fails, some writes are refused; later accepted writes do not depend on them, and no refused write
    /// comes back.
    @Test func aSyncThatFailsLosesNothing() async throws {
        try await Self.withHistory(share: 0.3) { history in
            try history.write(10)
            for error in [EIO, ENOSPC, EIO] {
                for first in 1...3 {
                    history.faults.arm(.databaseSync, first: first, count: 2, with: error)
                    try history.write(6)
                    history.faults.disarm()
                    try eventually("it recovers") { try history.daemon.send("GET", "/readyz").status == 200 }
                    try history.write(4)
                }
            }
            history.faults.arm(.databaseSync, with: EIO)
            // All of it is in the log when the sync fails.
            try history.create()
            // Refused writes must not be there.
            try history.die()
            try history.start()
            #expect(try history.daemon.send("GET", "/v1/devices/\(history.lastRefused)").status == 404)
            try history.write(10)
            #expect(history.refusals >= 9)
        }
    }

    private static func withHistory(share: Double, _ live: @escaping @Sendable (History) throws -> Void) async throws {
        let seed = environment["TAPSTER_SOAK_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0 ... .max)
        try await inNamespace {
            try withTemporaryDirectory(in: "/dev/shm") { directory in
                let history = try History(directory)
                do {
                    try live(history)
                } catch {
                    history.daemon.kill()
                    throw TestFailure("\(error)\n\(history.daemon.log)")
                }
                history.daemon.kill()
                do { try history.cut(Int(share * Double(cuts)), seed) } catch {
                    throw TestFailure("TAPSTER_SOAK_SEED=\(seed) TAPSTER_SOAK_STEPS=\(cuts): \(error)")
                }
            }
        }
    }

    /// A daemon with a record of every write to its database, and the answers that its clients got.
    private final class History: @unchecked Sendable {
        // Unchecked: answers from several clients are guarded by `lock`.

        let daemon: Daemon
        let faults: Faults
        private static let entriesShown = 150

        private let directory: String
        private let lock = NSLock()
        private var replies: [Reply] = []
        private var number = 0
        private var created = 0
        private var record: String { directory + "/record" }

        init(_ directory: String) throws {
            self.directory = directory
            faults = try Faults(in: directory)
            daemon = Daemon(stoppedIn: directory)
            try start()
        }

        func start() throws {
            try daemon.start(environment: faults.environment.merging(["TAPSTER_TEST_RECORD": record]) { $1 })
        }

        /// Kills the daemon: without a power cut, all written data exists, synced or not.
        func die() throws {
            faults.arm(.die, with: 0)
            _ = try? daemon.send("PUT", "/v1/devices/last", json: "{}")
            daemon.process?.wait()
            faults.disarm()
        }

        var refusals: Int { replies.filter { $0.revision == nil }.count }

        /// A device whose creation was refused.
        var lastRefused: String { replies.last { $0.revision == nil }?.device ?? "" }

        /// Writes one after the other: changes without an effect in the kernel, and some with one.
        func write(_ count: Int) throws {
            let client = try daemon.connect()
            for turn in 0..<count { try write(client, to: "d\(turn % 3)", hasWork: turn % 5 == 4) }
            try create()
        }

        /// Each name is used once, so that a refused write can be recognised if it comes back.
        func create() throws {
            created += 1
            try state(try daemon.connect(), "x\(created)", #"{"spec": {"link": {"up": false}}}"#)
        }

        /// Concurrent writes, which share transactions.
        func writeConcurrently(_ count: Int) throws {
            let failures = Mutex<[String]>([])
            DispatchQueue.concurrentPerform(iterations: 6) { place in
                do {
                    let client = try daemon.connect()
                    for _ in 0..<count { try write(client, to: "c\(place)", hasWork: false) }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
            let all = failures.withLock { $0 }
            guard all.isEmpty else { throw TestFailure("\(all)") }
        }

        private func write(_ client: HTTPClient, to device: String, hasWork: Bool) throws {
            let number = lock.withLock { () -> Int in
                self.number += 1
                return self.number
            }
            let spec = hasWork ? #", "spec": {"link": {"mtu": \#(1_500 + number)}}"# : ""
            try state(client, device, #"{"metadata": {"labels": {"n": "\#(number)"}}\#(spec)}"#, number)
        }

        private func state(_ client: HTTPClient, _ device: String, _ body: String, _ number: Int = 0) throws {
            let answer = try client.send("PUT", "/v1/devices/\(device)", json: body)
            guard answer.status < 300 || answer.status == 503 || answer.status == 507 else {
                throw TestFailure("\(device): \(answer.status) \(answer.text)")
            }
            var status = stat()
            guard stat(record, &status) == 0 else { throw TestFailure("no record") }
            let revision = answer.headers["etag"].flatMap { Int($0.filter(\.isNumber)) }
            lock.withLock {
                replies.append(Reply(end: Int(status.st_size), revision: revision, device: device, number: number))
            }
        }

        // MARK: Cuts

        func cut(_ cuts: Int, _ seed: UInt64) throws {
            let record = try DiskRecord(record)
            let path = directory + "/cut.db"
            var disk = Disk(record, seed: seed)
            var known = Known(replies.sorted { $0.end < $1.end })
            for number in 0..<cuts {
                try disk.play(to: (number + 1) * record.entries.count / cuts)
                let end = disk.position == 0 ? 0 : record.entries[disk.position - 1].end
                known.learn(until: end)
                try disk.cut(to: path)
                do { try known.check(path) } catch {
                    let latest = record.entries[max(0, disk.position - Self.entriesShown)..<disk.position]
                    throw TestFailure(
                        "after operation \(disk.position) of \(record.entries.count): \(error)\n"
                            + latest.map { "\($0.file) \($0.operation)" }.joined(separator: "\n"))
                }
            }
        }
    }

    /// The state that must exist.
    private struct Known {
        private var rest: ArraySlice<Reply>
        private var revision = 0
        private var numbers: [String: Int] = [:]
        /// Devices whose creation was refused before a later write was accepted.
        private var refused: Set<String> = []
        private var refusedLately: Set<String> = []

        init(_ replies: [Reply]) { rest = replies[...] }

        mutating func learn(until end: Int) {
            while let reply = rest.first, reply.end <= end {
                rest.removeFirst()
                if let revision = reply.revision {
                    self.revision = max(self.revision, revision)
                    numbers[reply.device] = max(numbers[reply.device] ?? 0, reply.number)
                    refused.formUnion(refusedLately)
                    refusedLately = []
                } else if reply.number == 0 {
                    refusedLately.insert(reply.device)
                }
            }
        }

        func check(_ path: String) throws {
            // Opening checks every page, index and reference, or fails.
            let (devices, revision) = try Store(path: path).load()
            guard revision >= self.revision else { throw TestFailure("\(revision), and not \(self.revision)") }
            let names = Set(devices.map(\.name.text))
            guard names.isDisjoint(with: refused) else { throw TestFailure("\(refused) was refused") }
            for (name, number) in numbers {
                guard let device = devices.first(where: { $0.name.text == name }) else {
                    throw TestFailure("\(name) is lost")
                }
                let text = device.labels.document["n"]?.text.filter(\.isNumber) ?? "0"
                guard let found = Int(text), found >= number else {
                    throw TestFailure("\(name) is at \(text), and not at \(number)")
                }
            }
        }
    }
}
