import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// Clients that stop half-way, send too much, or connect by the thousand: they hold no resources, and delay no other
/// client.
@Suite(.privileged) struct LeaseAbuseTests {
    /// The permitted growth of the daemon under abuse, in KiB: the allocator's buffers, far less than the data that is
    /// sent.
    private static let residentGrowthKibibytesMax = 16 << 10

    @Test func aClientThatDisconnectsEarlyHoldsNothing() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let baseline = try daemon.descriptorsAtRest("web0")
            for round in 0..<400 {
                let client = try Lessee(daemon.socket)
                client.ask("web0")
                // From before the daemon reads to after it has handed over.
                usleep(UInt32(round % 40) * 50)
                if round % 3 == 0 { client.halfClose() }
                client.leave()
            }
            try daemon.waitUntilAllIsFree(["web0"], baseline)

            let program = try Examples.compileConsumer(into: daemon.directory)
            for round in 0..<60 {
                let process = try ChildProcess(program, ["web0", daemon.socket])
                usleep(UInt32(round % 20) * 200)
                process.signal(SIGKILL)
                process.wait()
            }
            try daemon.waitUntilAllIsFree(["web0"], baseline)
            #expect(try daemon.metric("tapster_leases") == "0")
        }
    }

    /// Unread answers precede the 101, so that it, or the queues after it, may not fit into the socket's buffer.
    @Test func aClientThatDoesNotReadHoldsNothing() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let baseline = try daemon.descriptorsAtRest("web0")
            let small = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
            // The kernel counts about 1 KiB for each answer, with a limit of 208 KiB.
            for count in Array(stride(from: 0, to: 180, by: 20)) + Array(180..<300) {
                let client = try Lessee(daemon.socket)
                client.say(String(repeating: small, count: count) + Lessee.request("web0"))
                usleep(2_000)
                client.leave()
            }
            try daemon.waitUntilAllIsFree(["web0"], baseline)

            let silent = try Lessee(daemon.socket)
            silent.ask("web0")
            try eventually("it has a lease") { try daemon.metric("tapster_leases") == "1" }
            silent.leave()
            try daemon.waitUntilAllIsFree(["web0"], baseline)
        }
    }

    @Test func aHalfCloseEndsTheLease() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let baseline = try daemon.descriptorsAtRest("web0")
            let client = try Lessee(daemon.socket, of: "web0")
            client.halfClose()
            try eventually("the connection ends") { client.isEnded }
            client.leave()
            try daemon.waitUntilAllIsFree(["web0"], baseline)
        }
    }

    /// A few bytes are ignored; megabytes end the sender's lease, and no other.
    @Test func aClientThatSendsTooMuchLosesOnlyItsLease() async throws {
        try await withDaemon { (daemon) throws in
            for name in ["web0", "web1"] { try daemon.create(name, spec: #"{"queues": 4}"#) }
            let other = try Lessee(daemon.socket, of: "web1")
            let baseline = try daemon.descriptorsAtRest("web0")
            let figures = ProcessFigures(try #require(daemon.server))
            let (resident, seconds) = (figures.residentKibibytes, figures.seconds)

            let client = try Lessee(daemon.socket, of: "web0")
            #expect(client.say("\r\n") == 2)
            // Out-of-band data: one byte (unix(7)).
            var byte: UInt8 = 0
            _ = send(client.socket, &byte, 1, Int32(MSG_OOB | MSG_NOSIGNAL))
            usleep(100_000)
            #expect(!client.isEnded)
            let start = ContinuousClock.now
            while start.duration(to: .now) < .seconds(1) {
                if client.say(String(repeating: "x", count: 65_536)) < 0 { usleep(1_000) }
            }
            #expect(client.isEnded)
            #expect(!other.isEnded)
            #expect(figures.seconds - seconds < 0.5)
            #expect(figures.residentKibibytes - resident < Self.residentGrowthKibibytesMax)
            client.leave()
            try daemon.waitUntilAllIsFree([], baseline, leases: 1)
            #expect(try Interface("web1")?.tun("numqueues") == "4")
        }
    }

    /// Descriptors received by SCM_RIGHTS are closed, before the answer and after it; also the connection's own other
    /// end, which would keep a lease alive after its holder's death.
    @Test func descriptorsForTheDaemonAreClosed() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let baseline = try daemon.descriptorsAtRest("web0")
            func pair() -> (read: Int32, write: Int32) {
                var ends: [Int32] = [0, 0]
                let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
                socketpair(AF_UNIX, type, 0, &ends)
                return (ends[0], ends[1])
            }
            /// Whether all copies of the other end are closed.
            func isAtEnd(_ number: Int32) -> Bool {
                var byte: UInt8 = 0
                return read(number, &byte, 1) == 0
            }
            let (first, second) = (pair(), pair())
            let client = try Lessee(daemon.socket)
            client.say(Lessee.request("web0"), with: [first.write, first.write])
            close(first.write)
            try client.receive()
            #expect(client.status == 101)
            try eventually("the first is closed") { isAtEnd(first.read) }
            client.say("x", with: Array(repeating: second.write, count: 200))
            close(second.write)
            try eventually("the second is closed") { isAtEnd(second.read) }
            #expect(!client.isEnded)
            client.leave()
            try daemon.waitUntilAllIsFree(["web0"], baseline)

            for round in 0..<20 {
                let client = try Lessee(daemon.socket)
                if round % 2 == 0 {
                    client.ask("web0")
                    try client.receive()
                    client.say("x", with: [client.socket])
                } else {
                    // It may arrive while the request waits.
                    client.say(Lessee.request("web0"))
                    client.say("x", with: [client.socket])
                }
                client.leave()
                try daemon.waitUntilAllIsFree(["web0"], baseline)
            }
            for end in [first.read, second.read] { close(end) }
        }
    }

    /// The daemon accepts 512 connections; from half of them on, time limits are shorter.
    @Test(arguments: [
        "", "GET /v1/devices/web0/lease HTTP/1.1\r\nHo", "PUT /v1/devices/a HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
    ])
    func aThousandConnectionsLockNoClientOut(beginning: String) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try Lessee(daemon.socket, of: "web0")
            let client = try daemon.connect()
            #expect(try client.send("GET", "/livez").status == 200)
            let baseline = daemon.openDescriptors.count
            var clients: [Lessee] = []
            for number in 0..<1_000 {
                clients.append(try Lessee(daemon.socket))
                if !beginning.isEmpty { clients[number].say(beginning) }
                // Otherwise it would be one of the clients that have been silent longest, and make way for the next.
                if number % 50 == 0 { #expect(try client.send("GET", "/livez").status == 200) }
            }
            // A connected client that sends requests is served as usual.
            for _ in 0..<20 {
                let start = ContinuousClock.now
                #expect(try client.send("GET", "/v1/devices/web0").status == 200)
                #expect(start.duration(to: .now) < .seconds(1))
            }
            // New clients are asked to retry while all others are sending a body, until `HTTPLimits.crowdedSecondsMax`.
            try eventually("a retry is served", within: 20) { try daemon.send("GET", "/livez").status == 200 }
            #expect(!holder.isEnded)
            #expect(try Interface("web0")?.tun("numqueues") == "4")
            for idle in clients { idle.leave() }
            try eventually("all are gone") { daemon.openDescriptors.count <= baseline }
        }
    }

    @Test func oneOfTwoHundredWins() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let baseline = try daemon.descriptorsAtRest("web0")
            for _ in 0..<3 {
                let clients = try (0..<200).map { _ in try Lessee(daemon.socket) }
                for client in clients { client.ask("web0") }
                for client in clients { try client.receive() }
                let winners = clients.filter { $0.status == 101 }
                #expect(winners.count == 1 && winners.first?.descriptors.count == 4)
                for client in clients where client.status != 101 {
                    #expect(client.status == 409 && client.descriptors.isEmpty)
                    #expect((client.problem["detail"] as? String ?? "").contains("pid \(getpid())"))
                }
                for idle in clients { idle.leave() }
                try daemon.waitUntilAllIsFree(["web0"], baseline)
            }
        }
    }

    @Test func aStoppedHolderKeepsItsLeaseUntilItIsKilled() async throws {
        try await withDaemon { (daemon) throws in
            for name in ["web0", "web1"] { try daemon.create(name, spec: #"{"queues": 4}"#) }
            let baseline = try daemon.descriptorsAtRest("web0")
            let program = try Examples.compileConsumer(into: daemon.directory)
            let process = try ChildProcess(program, ["web0", daemon.socket])
            try eventually("it has a lease") { try daemon.metric("tapster_leases") == "1" }
            process.pause()
            try Lessee(daemon.socket, of: "web1").leave()
            try eventually("only its lease is in force") { try daemon.metric("tapster_leases") == "1" }
            process.signal(SIGKILL)
            process.wait()
            try daemon.waitUntilAllIsFree(["web0", "web1"], baseline)
        }
    }

    /// However the race ends for each client, the daemon ends in an orderly way and holds nothing afterwards.
    @Test func stoppingAmongRequestsLeavesNothing() async throws {
        try await withDaemon { (daemon) throws in
            for name in ["web0", "web1"] { try daemon.create(name, spec: #"{"queues": 4}"#) }
            for round in 0..<12 {
                let isOver = OneWay()
                let threads = (0..<4).map { number in
                    let done = DispatchSemaphore(value: 0)
                    let path = daemon.socket
                    Thread.detachNewThread {
                        while !isOver.isSet {
                            guard let client = try? Lessee(path) else { break }
                            client.ask("web\(number % 2)")
                            do {
                                try client.receive()
                                #expect([101, 409, 503].contains(client.status))
                            } catch {
                                // The connection has ended, with or without an answer.
                            }
                        }
                        done.signal()
                    }
                    return done
                }
                usleep(20_000 + UInt32(round) * 3_000)
                let start = ContinuousClock.now
                #expect(daemon.stop() == 0, "\(daemon.log)")
                #expect(start.duration(to: .now) < .seconds(5))
                isOver.set()
                for thread in threads { thread.wait() }
                for name in ["web0", "web1"] {
                    let interface = try #require(try Interface(name))
                    #expect(interface.tun("numqueues") == "0" && interface.tun("numdisabled") == "0")
                }
                try daemon.start()
            }
        }
    }
}

/// Set once, by one thread for others.
private final class OneWay: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    var isSet: Bool {
        guard semaphore.wait(timeout: .now()) == .success else { return false }
        semaphore.signal()
        return true
    }

    func set() { semaphore.signal() }
}
