import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// Calls that leases need fail.
@Suite(.privileged) struct LeaseFaultTests {
    /// A service manager's socket that is never read.
    private final class DeafManager {
        let path: String
        private let descriptor: Int32
        private var isOpen = true

        init(in directory: String) throws {
            path = directory + "/notify"
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let result = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard result == 0 else { throw TestFailure("bind \(path): \(String(cString: strerror(errno)))") }
        }

        deinit {
            end()
        }

        func end() {
            if isOpen { close(descriptor) }
            isOpen = false
        }
    }

    private static func useLeases(_ daemon: Daemon) throws {
        for _ in 0..<3 {
            let holder = try LeaseHolder(daemon, "web0")
            #expect(holder.queues.count == 8)
            try daemon.waitForQueues((0..<8).map { QueueState(at: $0, lease: holder.id) }, of: "web0")
            #expect(try daemon.set(1, of: "web0", enabled: false, force: true)["attached"] as? Bool == false)
            #expect(try daemon.set(1, of: "web0", enabled: true, force: true)["kernelIndex"] as? Int == 7)
            holder.close()
            holder.queues = [:]
            try daemon.waitForLeases([])
            try eventually("none is left") {
                let link = try Interface("web0")
                return link?.attachedQueues == 0 && link?.detachedQueues == 0
            }
        }
    }

    @Test func leasesDoNotNeedAStore() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let manager = try DeafManager(in: directory)
                let daemon = Daemon(stoppedIn: directory)
                defer { daemon.kill() }
                try daemon.start(environment: ["NOTIFY_SOCKET": manager.path])
                manager.end()
                try daemon.create("web0", spec: #"{"queues": 8}"#)
                try Self.useLeases(daemon)
                #expect(daemon.log.contains("a lease will not survive a restart of the daemon"))
                #expect(try daemon.metrics().contains(#"{operation="keep_descriptors",errno="#))
            }
        }
    }

    /// It must not block the requesting client, nor the clients after it.
    @Test func aStoreThatIsStuckDoesNotHoldLeasesUp() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let manager = try DeafManager(in: directory)
                let daemon = Daemon(stoppedIn: directory)
                defer { daemon.kill() }
                try daemon.start(environment: ["NOTIFY_SOCKET": manager.path])
                try daemon.create("web0", spec: #"{"queues": 64}"#)
                let start = ContinuousClock.now
                let holder = try LeaseHolder(daemon, "web0")
                #expect(holder.queues.count == 64)
                #expect(start.duration(to: .now) < .seconds(8))
                holder.close()
                try eventually("they are free", within: 8) { try daemon.leases() == [] }
            }
        }
    }

    /// Every call that a lease needs fails for a while: the client gets an error, nothing is leaked, and leases work
    /// again afterwards.
    @Test(arguments: [
        (Faults.Kind.openTun, "EMFILE", EMFILE), (.setInterface, "ENOMEM", ENOMEM), (.interfaceIndex, "EIO", EIO),
        (.interfaceName, "EIO", EIO), (.setVnetHeaderSize, "EBUSY", EBUSY), (.getVnetHeaderSize, "EIO", EIO),
        (.setOffload, "EBUSY", EBUSY),
    ])
    func aFailedHandOverLeavesNothing(kind: Faults.Kind, name: String, error: Int32) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let faults = try Faults(in: directory)
                let daemon = Daemon(stoppedIn: directory)
                defer { daemon.kill() }
                try daemon.start(environment: faults.environment)
                try daemon.create("web0", spec: #"{"queues": 4}"#)
                for first in 1...4 {
                    faults.arm(kind, first: first, count: 1, with: error)
                    do {
                        let holder = try LeaseHolder(daemon, "web0")
                        #expect(faults.struck == 0, "\(kind) \(first)")
                        holder.close()
                    } catch let refusal as LeaseHolder.Refusal {
                        #expect(refusal.status == (error == EBUSY ? 409 : 503), "\(refusal)")
                        #expect(refusal.text.contains(name), "\(refusal)")
                        #expect(faults.struck == 1)
                    }
                    faults.disarm()
                    try daemon.waitForLeases([])
                    try eventually("none is left") {
                        let link = try Interface("web0")
                        return link?.attachedQueues == 0 && link?.detachedQueues == 0
                    }
                    // External changes in the meantime are undone before the next lease, as before any first lease.
                    let foreign = try Consumer("web0")
                    foreign.vnetHeaderSize = 20
                    foreign.leave()
                    // A program that another test is starting may hold a copy for a moment.
                    try eventually("it is gone") { try Interface("web0")?.attachedQueues == 0 }
                    let holder = try LeaseHolder(daemon, "web0")
                    #expect(holder.queues[0]?.vnetHeaderSize == 12)
                    #expect(holder.queues.count == 4)
                    #expect(try daemon.order(of: "web0") == [0, 1, 2, 3])
                    holder.close()
                    holder.queues = [:]
                    try daemon.waitForLeases([])
                }
            }
        }
    }

    /// The setting is stored; the client gets an answer that shows that the kernel does not follow.
    @Test func aFailedSwitchIsReported() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let faults = try Faults(in: directory)
                let daemon = Daemon(stoppedIn: directory)
                defer { daemon.kill() }
                try daemon.start(environment: faults.environment)
                try daemon.create("web0", spec: #"{"queues": 4}"#)
                let holder = try LeaseHolder(daemon, "web0")
                faults.arm(.setQueue, count: 1, with: ENOMEM)
                let refusal = try daemon.set(1, of: "web0", enabled: false, force: true)
                #expect(refusal.status >= 500 && refusal.text.contains("ENOMEM"), "\(refusal.status) \(refusal.text)")
                faults.disarm()
                let queue = try daemon.queues(of: "web0")[1]
                #expect(queue == QueueState(enabled: false, at: 1, lease: holder.id))
                #expect(try daemon.set(1, of: "web0", enabled: false, force: true)["attached"] as? Bool == false)
                #expect(try daemon.order(of: "web0") == [0, 3, 2])
            }
        }
    }
}
