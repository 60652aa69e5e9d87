import Foundation
import Glibc
import TestSupport
import Testing

/// System calls of the daemon fail, from the k-th on, until the fault ends: the daemon does not crash, reports the
/// failure, affects no other device, and reaches the desired state soon afterwards by itself.
@Suite(.privileged) struct FaultTests {
    // MARK: Calls to the kernel

    /// The operation during which the calls fail.
    enum Operation: String, CaseIterable, Sendable {
        /// Three devices with every setting that needs a descriptor.
        case create
        /// Three more, each in a namespace of its own.
        case createElsewhere
        case changeSettings
        case changeLinks
        case delete
    }

    /// Where the failure is reported.
    enum Report: Sendable {
        /// One of these steps has failed.
        case steps(Set<String>)
        /// A namespace cannot be used.
        case namespace
        /// The kernel state cannot be read.
        case readiness
    }

    struct Fault: CustomTestStringConvertible, Sendable {
        let kind: Faults.Kind
        let errors: [String: Int32]
        let operations: [Operation]
        let report: Report

        init(_ kind: Faults.Kind, _ errors: [String], _ operations: [Operation], _ report: Report) {
            self.kind = kind
            self.errors = numbers.filter { errors.contains($0.key) }
            self.operations = operations
            self.report = report
        }

        var testDescription: String { kind.rawValue }
    }

    static let faults: [Fault] = [
        Fault(.socket, ["EMFILE", "ENOBUFS", "ENOMEM"], [.createElsewhere], .namespace),
        Fault(.openNamespace, ["EMFILE", "EPERM"], [.createElsewhere], .namespace),
        Fault(.namespaceType, ["ENOMEM", "EPERM"], [.createElsewhere], .namespace),
        Fault(.openTun, ["EMFILE", "ENOMEM"], [.create, .changeSettings], .steps(["create", "attach"])),
        Fault(.setInterface, ["EBUSY", "ENOMEM", "EPERM"], [.create, .changeSettings], .steps(["create", "attach"])),
        Fault(.interfaceIndex, ["EIO", "ENOMEM"], [.create, .changeSettings], .steps(["create", "attach"])),
        Fault(.interfaceName, ["EIO", "ENOMEM"], [.changeSettings], .steps(["attach"])),
        Fault(.setOwner, ["EBUSY", "EPERM"], [.create, .changeSettings], .steps(["set_owner"])),
        Fault(.setGroup, ["ENOMEM", "EPERM"], [.create], .steps(["set_group"])),
        Fault(
            .setVnetHeaderSize, ["EBUSY", "ENOSPC"], [.create, .changeSettings], .steps(["set_vnet_header_size"])),
        Fault(.getVnetHeaderSize, ["EIO", "ENOMEM"], [.create, .changeSettings], .steps(["set_vnet_header_size"])),
        Fault(.setOffload, ["EBUSY", "EIO"], [.create, .changeSettings], .steps(["set_offloads"])),
        Fault(.setPersist, ["ENOMEM", "ENOSPC"], [.create], .steps(["persist"])),
        Fault(.setQueue, ["EBUSY", "ENOMEM"], [.create, .changeSettings], .steps(["anchor"])),
        Fault(
            .change, ["ENOBUFS", "ENOMEM", "EPERM"], [.create, .changeLinks, .delete],
            .steps(["set_queue_discipline", "set_link", "add_address", "set_carrier", "delete"])),
        Fault(.ask, ["ENOBUFS", "ENOMEM"], [.create, .changeLinks, .delete], .readiness),
        Fault(.answer, ["ENOBUFS", "ENOMEM"], [.create, .changeLinks, .delete], .readiness),
        Fault(.event, ["EIO", "ENOMEM"], [.create], .readiness),
        Fault(.wait, ["EIO", "ENOMEM"], [.create], .readiness),
    ]

    @Test(arguments: faults)
    func aCallFailsUntilTheFaultEnds(fault: Fault) async throws {
        try await withFaultWorld { (world) throws in
            for operation in fault.operations {
                for (name, error) in fault.errors.sorted(by: { $0.key < $1.key }) {
                    for first in 1...3 {
                        do {
                            try Self.run(fault, operation, world, first: first, name, error)
                        } catch {
                            throw TestFailure(
                                "\(operation), \(name) from call \(first) on: \(error)\n\(world.daemon.log)")
                        }
                    }
                }
            }
        }
    }

    private static func run(
        _ fault: Fault, _ operation: Operation, _ world: FaultWorld, first: Int, _ name: String, _ error: Int32
    ) throws {
        try world.reset()
        let errors = try world.errors(name)
        world.faults.arm(fault.kind, first: first, with: error)
        for _ in 0..<first where world.faults.struck == 0 {
            try world.perform(operation)
            try eventually("a call fails, or all is done") { try world.faults.struck > 0 || world.isHealthy() }
        }
        // A deleted device cannot be deleted again.
        if operation == .delete, first > 1, world.faults.struck == 0 { return }
        try eventually("it is counted") { try world.errors(name) > errors }
        // Some steps are no longer needed when they are retried.
        try eventually("it is reported") {
            // A daemon that may change nothing reports that at once.
            try world.reports(fault.report, "failed with \(name)") || world.isHealthy()
                || name == "EPERM" && world.reports(.readiness, "failed with \(name)")
        }
        #expect(try world.daemon.send("GET", "/livez").status == 200)
        #expect(try world.phase("keep0") == "Ready")
        #expect(try world.phase("keep1") == "Ready")
        world.faults.disarm()
        try eventually("it recovers", within: 5) { try world.isHealthy() }
        #expect(try world.interfaces() == world.expected)
    }

    /// Entering or leaving a namespace fails, which must not leave the daemon in the wrong one.
    @Test(arguments: ["ENOMEM", "EPERM"])
    func enteringANamespaceFailsOnce(name: String) async throws {
        try await withFaultWorld { (world) throws in
            for first in 1...6 {
                try world.reset()
                let errors = try world.errors(name)
                world.faults.arm(.enterNamespace, first: first, count: 1, with: try #require(numbers[name]))
                try world.perform(.createElsewhere)
                try eventually("it recovers", within: 5) { try world.faults.struck == 1 && world.isHealthy() }
                #expect(try world.interfaces() == world.expected)
                // Before an odd call the thread is in its own namespace, and may stay there.
                #expect(try world.errors(name) == errors + first % 2)
            }
        }
    }

    /// One message or answer fails, at any position.
    @Test(arguments: [Faults.Kind.ask, .change, .answer], [Operation.create, .changeLinks, .delete])
    func oneMessageFails(kind: Faults.Kind, operation: Operation) async throws {
        try await withFaultWorld { (world) throws in
            for first in 1...6 {
                try world.reset()
                let errors = try world.errors("ENOBUFS")
                world.faults.arm(kind, first: first, count: 1, with: ENOBUFS)
                try world.perform(operation)
                try eventually("it recovers", within: 5) { try world.isHealthy() }
                #expect(try world.interfaces() == world.expected)
                if world.faults.struck == 0 { break }
                #expect(try world.errors("ENOBUFS") > errors, "\(kind) \(first), \(operation)")
            }
        }
    }

    /// Lost notifications do not prevent the repair of what they reported.
    @Test func lostNotificationsAreMadeUpFor() async throws {
        try await withFaultWorld { (world) throws in
            try world.reset()
            world.faults.arm(.event, count: 1, with: ENOBUFS)
            try TestSupport.run("ip", "link", "set", "old0", "mtu", "9000")
            try eventually("the MTU is repaired") {
                let metrics = try world.daemon.metrics()
                return metrics.contains("tapster_drift_repairs_total{field=\"link.mtu\"} 1\n")
            }
            #expect(world.faults.struck == 1)
            #expect(try world.daemon.metrics().contains("tapster_netlink_overruns_total 1\n"))
            #expect(try world.isHealthy())
        }
    }

    /// A daemon that cannot read the kernel state at its start reports this, and goes on as soon as it can.
    @Test(arguments: [
        (Faults.Kind.socket, "ENOBUFS"), (.ask, "ENOMEM"), (.answer, "ENOBUFS"), (.event, "EIO"), (.wait, "ENOMEM"),
    ])
    func aStartWithoutKernelStateGoesOn(kind: Faults.Kind, name: String) async throws {
        try await withFaultWorld { (world) throws in
            try world.reset()
            world.daemon.kill()
            world.faults.arm(kind, with: try #require(numbers[name]))
            try world.daemon.launch(environment: world.faults.environment)
            try eventually("it is reported") {
                guard let answer = try? world.daemon.send("GET", "/readyz") else { return false }
                return answer.status == 503 && answer.text.contains("failed with \(name)")
            }
            world.faults.disarm()
            try eventually("it recovers", within: 5) { try world.isHealthy() }
        }
    }

    /// A daemon that cannot open the tun driver ends with a message.
    @Test(arguments: ["EMFILE", "EPERM"])
    func aStartWithoutTheDriverEnds(name: String) async throws {
        try await withFaultWorld { (world) throws in
            world.daemon.kill()
            world.faults.arm(.openTun, with: try #require(numbers[name]))
            #expect(try world.daemon.launch(environment: world.faults.environment).wait() == 1)
            #expect(world.daemon.log.contains("open failed with \(name)"))
            world.faults.disarm()
            try world.daemon.start(environment: world.faults.environment)
        }
    }

    /// The kernel refuses a dump while another one is in progress, so an aborted dump must be read to its end.
    @Test func anAbortedDumpDoesNotBlockTheNext() async throws {
        try await withFaultWorld { (world) throws in
            // Many times the 32 KiB that the kernel sends at once.
            let commands = (0..<200).map { "tuntap add dev d\($0) mode tap" }.joined(separator: "\n")
            let batch = world.daemon.directory + "/batch"
            try commands.write(toFile: batch, atomically: true, encoding: .utf8)
            try TestSupport.run("ip", "-batch", batch)
            for first in 1...3 {
                world.faults.arm(.answer, first: first, count: 1, with: ENOMEM)
                _ = try world.daemon.send("GET", "/v1/unmanaged")
                try eventually("it recovers", within: 5) { try world.faults.struck == 1 && world.isHealthy() }
            }
            try eventually("each is counted") { try world.errors("ENOMEM") == 3 }
            #expect(try world.errors("EBUSY") == 0)
        }
    }

    @Test(arguments: [Faults.Kind.ask, .answer, .event])
    func aPassThatFailsIsReportedToItsClient(kind: Faults.Kind) async throws {
        try await withFaultWorld { (world) throws in
            world.faults.arm(kind, with: EIO)
            let answer = try world.daemon.send("GET", "/v1/unmanaged")
            #expect(answer.status == 503)
            #expect(answer["code"] as? String == "KERNEL_UNAVAILABLE")
            world.faults.disarm()
            try eventually("it recovers", within: 5) { try world.daemon.send("GET", "/v1/unmanaged").status == 200 }
        }
    }

    // MARK: The database

    /// A user's write is refused as a whole, and the daemon detects by itself when the database accepts writes again.
    @Test(arguments: [
        (Faults.Kind.databaseWrite, "ENOSPC"), (.databaseWrite, "EIO"), (.databaseSync, "EIO"),
        (.databaseSync, "ENOSPC"),
    ])
    func aRefusedWriteChangesNothing(kind: Faults.Kind, name: String) async throws {
        try await withFaultWorld { (world) throws in
            for operation in [Operation.create, .changeLinks, .delete] {
                // Each write is synced once, and a deleted device cannot be deleted again.
                for first in operation == .delete && kind == .databaseSync ? 1...1 : 1...3 {
                    try world.reset()
                    let devices = try world.versions()
                    world.faults.arm(kind, first: first, with: try #require(numbers[name]))
                    var refusal = try world.send(operation)
                    // Writes before the first fault succeeded.
                    for _ in 1..<first where refusal.status < 300 { refusal = try world.send(operation) }
                    let isFull = name == "ENOSPC"
                    #expect(refusal.status == (isFull ? 507 : 503))
                    #expect(refusal["code"] as? String == (isFull ? "DATABASE_FULL" : "DATABASE_UNAVAILABLE"))
                    #expect(refusal.headers["retry-after"] != nil)
                    let readiness = try world.daemon.send("GET", "/readyz")
                    #expect(readiness.status == 503 && readiness.text.contains("[-] database"))
                    #expect(try world.daemon.metrics().contains("tapster_ready 0\n"))
                    #expect(try world.daemon.send("GET", "/livez").status == 200)
                    if first == 1 || kind == .databaseWrite { #expect(try world.versions() == devices) }
                    world.faults.disarm()
                    try eventually("it recovers", within: 5) { try world.isHealthy() }
                    #expect(try world.send(operation).status < 300)
                    try eventually("it recovers", within: 5) { try world.isHealthy() }
                    #expect(try world.interfaces() == world.expected)
                }
            }
            let events = try world.daemon.send("GET", "/v1/events?limit=1000").text
            #expect(events.contains("DatabaseRecovered"))
        }
    }

    /// Each write of an operation fails in turn: the user's, the claim, the history, the last one of a deletion.
    @Test(
        arguments: [Operation.create, .changeSettings, .delete],
        [("ENOSPC", 1), ("EIO", nil)] as [(String, Int?)])
    func anyWriteFails(operation: Operation, fault: (String, Int?)) async throws {
        let (name, count) = fault
        try await withFaultWorld { (world) throws in
            for first in 1...100 {
                try world.reset()
                let latest = try world.latestEvent()
                world.faults.arm(
                    .databaseWrite, first: first, count: count, with: try #require(numbers[name]))
                let isTaken = try world.send(operation).status < 300
                // The history is written a little later; its failure is reported as not ready.
                try? eventually("a call fails", within: 0.3) { world.faults.struck > 0 }
                let isOver = world.faults.struck == 0
                #expect(try world.daemon.send("GET", "/livez").status == 200)
                if !isOver, count == nil {
                    try eventually("it is reported") { try world.daemon.send("GET", "/readyz").status == 503 }
                }
                world.faults.disarm()
                if !isTaken { try world.perform(operation) }
                try eventually("it recovers after write \(first)", within: 5) { try world.isHealthy() }
                #expect(try world.interfaces() == world.expected)
                try eventually("nothing is missing in the history after write \(first)") {
                    try world.devices(operation == .delete ? "Deleted" : "Converged", after: latest)
                        .isSuperset(of: world.concerned(operation))
                }
                if isOver { return }
            }
            throw TestFailure("an operation that writes more than a hundred times")
        }
    }
}

/// The error numbers of these tests, by name.
private let numbers: [String: Int32] = [
    "ENOMEM": ENOMEM, "EMFILE": EMFILE, "EPERM": EPERM, "EBUSY": EBUSY, "ENOBUFS": ENOBUFS, "ENOSPC": ENOSPC,
    "EIO": EIO,
]
