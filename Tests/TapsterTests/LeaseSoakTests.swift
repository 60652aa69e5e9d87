import Foundation
import Glibc
import TestSupport
import Testing

/// Leases begin and end in any way and any order, and leave nothing behind.
///
/// Half as many cycles as `TAPSTER_SOAK_STEPS` has steps, so that `make soak` has 10,000; `TAPSTER_SOAK_SEED`
/// reproduces a failure.
@Suite(.privileged) struct LeaseSoakTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let cycles = (environment["TAPSTER_SOAK_STEPS"].flatMap { Int($0) } ?? 2_000) / 2
    private static let seed =
        environment["TAPSTER_SOAK_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...UInt64(UInt32.max))

    /// One half with a bare daemon, whose memory is measured; the other under `tapster keep`, where the daemon is
    /// killed too.
    @Test(arguments: [false, true]) func nothingIsLeftOfLeases(isKept: Bool) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let walk = try LeaseWalk(directory, isKept: isKept, seed: Self.seed)
                defer { walk.end() }
                do {
                    for _ in 0..<Self.cycles / 2 { try walk.step() }
                    try walk.check()
                } catch {
                    throw TestFailure(
                        "TAPSTER_SOAK_SEED=\(Self.seed) TAPSTER_SOAK_STEPS=\(2 * Self.cycles): \(error)\nafter: "
                            + "\(walk.log.suffix(12).joined(separator: "; "))\n\(walk.daemon.log.suffix(2_000))")
                }
                print("leases, kept: \(isKept): \(walk.figures)")
            }
        }
    }
}

private final class LeaseWalk {
    private static let devices = ["web0", "web1", "web2", "web3"]
    private static let queues = 4
    /// Cycles until the daemon's heap has reached its size.
    private static let warmUp = 100
    /// The permitted growth of the daemon or of keep since then. One leaked object or descriptor per lease would be 1
    /// KiB per cycle, 5 MiB in `make soak`; measured are 0.03 MiB after 500 cycles and 0.12 MiB after 5,000.
    private static let residentGrowthKibibytesMax = 2 << 10
    private static let cyclesPerRestart = 100

    let daemon: Daemon
    private(set) var log: [String] = []
    private let isKept: Bool
    private let consumer: String
    private var random: SeededGenerator
    private var count = 0
    private var ends: [String: Int] = [:]
    private var restarts = 0
    private var held: [(device: String, holder: Lessee)] = []
    /// Consumers that have given up their leases, but still hold queues.
    private var remains: [Lessee] = []
    private var baseline: [String] = []
    private var keepBaseline: [String] = []
    private var residentBefore = 0
    private var growth = 0

    init(_ directory: String, isKept: Bool, seed: UInt64) throws {
        self.isKept = isKept
        random = SeededGenerator(seed: seed)
        consumer = try Examples.compileConsumer(into: directory)
        daemon = isKept ? try Daemon(keptIn: directory) : try Daemon(directory: directory)
        for device in Self.devices { try create(device) }
        // A restarted daemon has a few more descriptors open.
        _ = try daemon.descriptorsAtRest("web0")
        if isKept { try restart(kill: true) }
        try waitOnce()
        baseline = try daemon.descriptorsAtRest("web0")
        keepBaseline = supervisor?.descriptors ?? []
    }

    func end() {
        held = []
        remains = []
        if !isKept { daemon.kill() }
    }

    var figures: String {
        let list = ends.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return "\(count) cycles (\(list)), \(restarts) restarts, \(baseline.count) files open, grown by \(growth) KiB"
    }

    private var supervisor: ProcessFigures? { isKept ? daemon.process.map { ProcessFigures($0.identifier) } : nil }

    /// The process that exists throughout: the daemon, or keep.
    private var survivor: ProcessFigures? { daemon.process.map { ProcessFigures($0.identifier) } }

    private func create(_ device: String) throws {
        let answer = try daemon.create(device, spec: #"{"queues": \#(Self.queues)}"#)
        guard answer.status == 201 else { throw TestFailure("create: \(answer.text)") }
    }

    /// The first waiting request creates a timer that stays open.
    private func waitOnce() throws {
        try create("wait0")
        guard try daemon.delete("wait0").status == 200 else { throw TestFailure("wait0 stays") }
    }

    /// Begins one lease and ends another.
    func step() throws {
        count += 1
        if count == Self.warmUp { residentBefore = survivor?.residentKibibytes ?? 0 }
        if isKept, count % Self.cyclesPerRestart == 0 { try restart(kill: count / Self.cyclesPerRestart % 2 == 0) }
        if Int.random(in: 0..<8, using: &random) == 0 { return try killAConsumer() }
        try lease()
        if held.count > Int.random(in: 0..<8, using: &random) { try endOne() }
        if remains.count > 4 { remains.removeFirst().leave() }
    }

    private func free(_ device: String) -> [Int] {
        let taken = held.filter { $0.device == device }.flatMap(\.holder.queues)
        return (0..<Self.queues).filter { !taken.contains($0) }
    }

    private func lease() throws {
        guard let device = Self.devices.filter({ !free($0).isEmpty }).randomElement(using: &random) else {
            return try endOne()
        }
        var query = ""
        if Bool.random(using: &random) {
            let some = free(device).shuffled(using: &random)
            let list = some.prefix(Int.random(in: 1...some.count, using: &random)).map(String.init)
            query = "?queues=" + list.joined(separator: ",")
        }
        log.append("\(count) lease \(device)\(query)")
        // Queues that a consumer returns are free a moment later.
        var holder = try Lessee(daemon.socket)
        try eventually("there is a lease", within: 5) {
            holder = try Lessee(daemon.socket)
            holder.ask(device, query: query)
            try holder.receive()
            guard holder.status == 101 || holder.status == 409 else { throw TestFailure("\(holder.problem)") }
            return holder.status == 101
        }
        guard holder.queues.count == holder.descriptors.count else { throw TestFailure("queues are missing") }
        held.append((device, holder))
    }

    private func endOne() throws {
        guard let place = held.indices.randomElement(using: &random) else { return }
        let (device, holder) = held.remove(at: place)
        guard !holder.isEnded else { throw TestFailure("a lease of \(device) had ended by itself") }
        let kind =
            ["close", "half-close", "part", "revoke", "revoke", "talk", "delete"].randomElement(using: &random) ?? ""
        log.append("\(count) \(kind) \(device) \(holder.queues)")
        switch kind {
        case "close": holder.leave()
        case "half-close":
            holder.halfClose()
            try eventually("it has ended") { holder.isEnded }
        case "part":
            holder.closeConnection()
            remains.append(holder)
        case "talk":
            holder.say("x", with: [holder.socket])
            holder.leave()
        case "revoke":
            let answer = try daemon.send("DELETE", "/v1/leases/\(holder.identifier)")
            guard answer.status == 204 else { throw TestFailure("revoke: \(answer.text)") }
            try eventually("it has ended") { holder.isEnded }
        default:
            // Too slow to be done as often as the others.
            guard Int.random(in: 0..<4, using: &random) == 0 else {
                holder.leave()
                return note("close")
            }
            let answer = try daemon.send("DELETE", "/v1/devices/\(device)?force=true&wait=10s")
            guard answer.status == 200 else { throw TestFailure("delete: \(answer.text)") }
            for (_, other) in held.filter({ $0.device == device }) + [(device, holder)] {
                try eventually("it has ended") { other.isEnded }
            }
            held.removeAll { $0.device == device }
            try create(device)
        }
        note(kind)
    }

    private func note(_ kind: String) { ends[kind, default: 0] += 1 }

    /// At any moment: before its request, during it, or when it has queues.
    private func killAConsumer() throws {
        guard let device = Self.devices.filter({ !free($0).isEmpty }).randomElement(using: &random) else { return }
        log.append("\(count) kill a consumer of \(device)")
        let process = try ChildProcess(consumer, [device, daemon.socket])
        usleep(UInt32.random(in: 0..<6_000, using: &random))
        process.signal(SIGKILL)
        process.wait()
        note("kill")
    }

    private func restart(kill: Bool) throws {
        log.append("\(count) \(kill ? "kill" : "restart") the daemon")
        // A kill between a hand-over and its record loses that lease. Earlier lease requests are complete when this is
        // answered, since the same thread processes them.
        guard try daemon.send("DELETE", "/v1/leases/\(String(repeating: "0", count: 16))").status == 404 else {
            throw TestFailure("a lease that cannot be was revoked")
        }
        let before = daemon.server
        if kill { daemon.kill() } else { daemon.process?.signal(SIGHUP) }
        try eventually("it is ready again", within: 30) {
            daemon.server != nil && daemon.server != before
                && (try? HTTPClient(socket: daemon.socket).send("GET", "/readyz").status) == 200
        }
        restarts += 1
        for (device, holder) in held where holder.isEnded { throw TestFailure("\(device)'s lease is lost") }
    }

    func check() throws {
        for (_, holder) in held { holder.leave() }
        for holder in remains { holder.leave() }
        (held, remains) = ([], [])
        try waitOnce()
        try daemon.waitUntilAllIsFree(Self.devices, baseline)
        if let supervisor {
            try eventually("keep has as much open as before") { supervisor.descriptors == keepBaseline }
        }
        growth = (survivor?.residentKibibytes ?? 0) - residentBefore
        guard growth <= Self.residentGrowthKibibytesMax else { throw TestFailure("it has grown by \(growth) KiB") }
    }
}
