import CLinux
import Foundation
import GRDB
import Glibc
import TestSupport
import Testing

/// The database is damaged or unavailable while the daemon runs: acknowledged writes are kept, writes that cannot be
/// stored are refused with the reason, everything that needs no database goes on, and the daemon recovers when the
/// cause ends.
@Suite(.privileged) struct DamageTests {
    @Test func theDiskIsFull() async throws {
        try await DamagedWorld.with(tmpfs: "4m") { world in
            // Page-sized blocks, so that no byte is left.
            let filler = world.daemon.directory + "/filler"
            _ = try? TestSupport.run("dd", "if=/dev/zero", "of=\(filler)", "bs=4k")
            try world.expectRefusal(507, "disk is full")
            unlink(filler)
            try world.expectRecovery()
        }
    }

    @Test func theFileSystemIsReadOnly() async throws {
        try await DamagedWorld.with { world in
            world.faults.arm(.databaseWrite, with: EROFS)
            try world.expectRefusal(503, "file system is read-only")
            world.faults.disarm()
            try world.expectRecovery()
            #expect(world.daemon.stop() == 0)
            let directory = world.daemon.directory
            try TestSupport.run("mount", "--bind", directory, directory)
            try TestSupport.run("mount", "-o", "remount,bind,ro", directory)
            let log = "/dev/shm/\((directory as NSString).lastPathComponent)"
            defer { unlink(log) }
            #expect(try world.start(environment: [:], log: log) == 1)
            #expect(try String(contentsOfFile: log, encoding: .utf8).contains("its file system is read-only"))
            try TestSupport.run("umount", directory)
            try world.restart()
            try world.expectRecovery()
        }
    }

    @Test func anotherProcessKeepsItLocked() async throws {
        try await DamagedWorld.with { world in
            do {
                let other = try DatabaseQueue(path: world.daemon.database, configuration: Self.unsafe)
                try other.inDatabase { try $0.execute(sql: "BEGIN EXCLUSIVE") }
                try world.expectRefusal(503, "keeps the database")
                try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
            }
            try world.expectRecovery()
        }
    }

    /// May leave a transaction open.
    private static var unsafe: Configuration {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        return configuration
    }

    /// While a write waits for the lock, other requests are not delayed.
    @Test func aLockThatIsSoonGoneIsWaitedFor() async throws {
        try await DamagedWorld.with { world in
            let other = try DatabaseQueue(path: world.daemon.database, configuration: Self.unsafe)
            try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
            let client = try world.daemon.connect()
            let body = #"{"metadata": {"labels": {"n": "soon"}}}"#
            try client.write(
                "PUT /v1/devices/keep0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            for _ in 0..<3 {
                // As soon as the daemon has noticed that the previous holder is gone.
                try eventually("the queue is leased") { (try? LeaseHolder(world.daemon, "idle0")) != nil }
            }
            try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
            #expect(try client.readAnswer().status == 200)
            try eventually("it is ready") { try world.daemon.send("GET", "/readyz").status == 200 }
        }
    }

    enum Loss: CaseIterable, Sendable {
        case deleted, logDeleted, indexDeleted, lockDeleted, replaced, directoryMoved

        func inflict(on database: String) throws {
            switch self {
            case .deleted: try move(database)
            case .logDeleted: try move(database + "-wal")
            case .indexDeleted: try move(database + "-shm")
            case .lockDeleted: try move(database + ".lock")
            case .replaced:
                try move(database)
                try FileManager.default.copyItem(atPath: database + ".away", toPath: database)
            case .directoryMoved: try move((database as NSString).deletingLastPathComponent)
            }
        }

        /// Puts the same files back.
        func mend(_ database: String) throws {
            switch self {
            case .deleted: try putBack(database)
            case .logDeleted: try putBack(database + "-wal")
            case .indexDeleted: try putBack(database + "-shm")
            case .lockDeleted: try putBack(database + ".lock")
            case .replaced:
                unlink(database)
                try putBack(database)
            case .directoryMoved: try putBack((database as NSString).deletingLastPathComponent)
            }
        }

        private func move(_ path: String) throws {
            try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        }
        private func putBack(_ path: String) throws {
            try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        }
    }

    /// SQLite would go on writing, and report success.
    @Test(arguments: Loss.allCases)
    func aFileIsGone(loss: Loss) async throws {
        try await DamagedWorld.with(databaseApart: true) { world in
            try loss.inflict(on: world.database)
            // Before any write.
            try eventually("it is reported") { try world.daemon.send("GET", "/readyz").status == 503 }
            try world.expectRefusal(503, "was deleted, moved or replaced")
            try loss.mend(world.database)
            try world.expectRecovery()
        }
    }

    /// A database that is restored under a running daemon takes effect with its restart.
    @Test func aBackupIsRestored() async throws {
        try await DamagedWorld.with(databaseApart: true) { world in
            let backup = world.daemon.directory + "/backup"
            try DatabaseQueue(path: world.database).inDatabase {
                try $0.execute(sql: "VACUUM INTO ?", arguments: [backup])
            }
            for end in ["", "-wal", "-shm"] { unlink(world.database + end) }
            try world.expectRefusal(503, "restore a backup and restart")
            world.daemon.kill()
            for end in ["-wal", "-shm"] { unlink(world.database + end) }
            try FileManager.default.copyItem(atPath: backup, toPath: world.database)
            try world.restart()
            try world.expectRecovery()
        }
    }

    /// Bytes of the file change under the daemon, one page at a time. It may or may not notice, but never uses damaged
    /// data.
    @Test func pagesRotUnderTheDaemon() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        try await DamagedWorld.with(databaseApart: true) { world in
            var generator = SeededGenerator(seed: seed)
            var isNoticed = false
            for round in 0..<5 {
                #expect(world.daemon.stop() == 0)
                // All data must be in the main file.
                try DatabaseQueue(path: world.database).inDatabase {
                    try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
                }
                let sound = try Data(contentsOf: URL(fileURLWithPath: world.database))
                try world.restart()
                let pages = sound.count / DamagedWorld.pageBytes
                // The first pages contain the schema, which is read at once.
                let page = round == 0 ? 0 : Int.random(in: 1..<pages, using: &generator)
                try world.overwrite(page: page, using: &generator)
                for _ in 0..<3 {
                    for path in ["events?limit=1000", "revisions?limit=100"] {
                        let status = try world.daemon.send("GET", "/v1/\(path)").status
                        #expect([200, 503].contains(status), "seed \(seed), page \(page): \(status)")
                    }
                    let status = try world.write().status
                    #expect([200, 503].contains(status), "seed \(seed), page \(page): \(status)")
                    let isRefused = status == 503
                    if isRefused {
                        isNoticed = true
                        // Once the daemon has noticed damage, it never trusts the file again.
                        try world.expectRefusal(503, "is damaged")
                    }
                }
                try world.expectUntouched()
                world.daemon.kill()
                // The log may have an intact copy of the page, from which the database would recover.
                if round == 0 { for end in ["-wal", "-shm"] { unlink(world.database + end) } }
                // A restart may notice too; then the daemon ends with a message.
                if try world.start(environment: [:]) == 1 {
                    isNoticed = true
                    #expect(world.daemon.log.contains("is damaged"), "seed \(seed), page \(page): \(world.daemon.log)")
                }
                try world.expectUntouched()
                world.daemon.kill()
                for end in ["-wal", "-shm"] { unlink(world.database + end) }
                try sound.write(to: URL(fileURLWithPath: world.database))
                try world.restart()
                try world.write()
            }
            #expect(isNoticed)
        }
    }
}

/// A daemon with devices, one of them leased, and a database that is damaged by the test.
final class DamagedWorld {
    static let pageBytes = 4_096

    let daemon: Daemon
    let faults: Faults
    let database: String
    private var lease: LeaseHolder?
    /// The index of every interface.
    private let interfaces: Set<String>
    /// Effects on a bystander while this daemon runs.
    private var before: [String]
    private var number = 0
    /// The newest acknowledged label.
    private var acknowledged = 0

    /// - Parameters:
    ///   - tmpfs: The size of a separate file system, if any.
    ///   - databaseApart: Whether the database has a directory of its own.
    ///   - body: The test.
    /// - Throws: The error of `body`, with the daemon's log.
    static func with(
        tmpfs: String? = nil, databaseApart: Bool = false, _ body: @escaping @Sendable (DamagedWorld) throws -> Void
    ) async throws {
        try await inNamespace {
            guard clinux_unshare_mounts() == 0 else { throw TestFailure("unshare: \(errno)") }
            try withTemporaryDirectory { directory in
                if let tmpfs {
                    try TestSupport.run("mount", "-t", "tmpfs", "-o", "size=\(tmpfs)", "none", directory)
                }
                defer { if tmpfs != nil { _ = try? TestSupport.run("umount", "--lazy", directory) } }
                let world = try DamagedWorld(directory, databaseApart: databaseApart)
                defer { world.daemon.kill() }
                do { try body(world) } catch { throw TestFailure("\(error)\n\(world.daemon.log)") }
            }
        }
    }

    private init(_ directory: String, databaseApart: Bool) throws {
        faults = try Faults(in: directory)
        if databaseApart {
            try FileManager.default.createDirectory(atPath: directory + "/db", withIntermediateDirectories: false)
        }
        daemon = Daemon(stoppedIn: directory, database: databaseApart ? directory + "/db/t.db" : nil)
        database = daemon.database
        try daemon.start(environment: faults.environment)
        let open = #"{"spec": {"access": "open", "multiQueue": true}}"#
        for (name, body) in [("keep0", "{}"), ("keep1", open), ("idle0", "{}")] {
            let answer = try daemon.send("PUT", "/v1/devices/\(name)?wait=10s", json: body)
            guard answer.status == 201 else { throw TestFailure(answer.text) }
        }
        lease = try LeaseHolder(daemon, "keep0")
        interfaces = try Self.interfaces()
        before = try CrashTests.bystanderState()
        try write()
    }

    /// Starts the daemon and waits until it is ready or has ended.
    ///
    /// - Returns: Its exit status, if it has ended.
    func start(environment: [String: String], log: String? = nil) throws -> Int32? {
        lease = nil
        let process = try daemon.launch(environment: environment, log: log)
        try eventually("it is ready or ends", within: 30) {
            !process.isRunning || (try? daemon.send("GET", "/readyz").status) == 200
        }
        return process.isRunning ? nil : process.wait()
    }

    func restart() throws {
        daemon.kill()
        try daemon.start(environment: faults.environment)
        // Otherwise its queues would be stray ones.
        lease = nil
        lease = try LeaseHolder(daemon, "keep0")
        before = try CrashTests.bystanderState()
    }

    /// A write that needs no change in the kernel.
    @discardableResult
    func write() throws -> Answer {
        number += 1
        let answer = try daemon.send(
            "PATCH", "/v1/devices/keep0", json: #"{"metadata": {"labels": {"n": "\#(number)"}}}"#)
        if answer.status == 200 { acknowledged = number }
        return answer
    }

    func expectRefusal(_ status: Int, _ words: String) throws {
        // A write that still fits into the log may succeed.
        var refusal = try write()
        for _ in 0..<2_000 where refusal.status == 200 { refusal = try write() }
        #expect(refusal.status == status, "\(refusal.text)")
        #expect(refusal["code"] as? String == (status == 507 ? "DATABASE_FULL" : "DATABASE_UNAVAILABLE"))
        #expect((refusal["detail"] as? String ?? "").contains(words), "\(refusal.text)")
        #expect(refusal.headers["retry-after"] != nil)
        #expect(try daemon.send("PUT", "/v1/devices/new0", json: "{}").status == status)
        #expect(try daemon.send("DELETE", "/v1/devices/idle0").status == status)
        let readiness = try daemon.send("GET", "/readyz")
        #expect(readiness.status == 503 && readiness.text.contains(words), "\(readiness.text)")
        #expect(try daemon.send("GET", "/livez").status == 200)
        #expect(try daemon.metrics().contains("tapster_ready 0\n"))
        #expect(try daemon.send("GET", "/v1/devices/new0").status == 404)
        let known = try daemon.send("GET", "/v1/devices/keep0")["metadata"] as? [String: Any]
        #expect((known?["labels"] as? [String: String])?["n"] == "\(acknowledged)")
        try expectUntouched()
        // Leases are granted and returned without a database.
        let other = try LeaseHolder(daemon, "idle0")
        #expect(other.queues.count == 1)
    }

    /// Checks that the kernel's devices and the lease are unchanged.
    func expectUntouched() throws {
        #expect(try Self.interfaces() == interfaces)
        if daemon.process?.isRunning == true, let lease {
            #expect(try CrashTests.bystanderState() == before)
            #expect(!lease.isOver)
        }
    }

    /// Checks that the daemon has recovered: no acknowledged write is missing, now and after a restart, and no
    /// interface was deleted.
    func expectRecovery() throws {
        for round in 0..<2 {
            try eventually("it is ready") { try daemon.send("GET", "/readyz").status == 200 }
            let known = try daemon.send("GET", "/v1/devices/keep0")["metadata"] as? [String: Any]
            #expect((known?["labels"] as? [String: String])?["n"] == "\(acknowledged)", "round \(round)")
            #expect(try write().status == 200)
            let made = try daemon.send("PUT", "/v1/devices/new0?wait=10s", json: "{}")
            #expect(made.status == 201, "\(made.text)")
            #expect(try daemon.send("DELETE", "/v1/devices/new0?wait=10s").status == 200)
            try expectUntouched()
            if round == 0 { try restart() }
        }
    }

    private static func interfaces() throws -> Set<String> {
        Set(
            try TestSupport.run("ip", "-o", "link").split(separator: "\n").map {
                $0.split(separator: ":").prefix(2).joined()
            })
    }

    func overwrite(page: Int, using generator: inout SeededGenerator) throws {
        let descriptor = open(database, O_WRONLY | O_CLOEXEC)
        defer { close(descriptor) }
        let bytes = (0..<Self.pageBytes).map { _ in UInt8.random(in: 0...255, using: &generator) }
        guard pwrite(descriptor, bytes, bytes.count, off_t(page * Self.pageBytes)) == bytes.count else {
            throw TestFailure("cannot write \(database)")
        }
    }
}
