import Foundation
import Glibc
import TestSupport
import Testing

/// Who may open queues of a brokered device: any process that has one of its queues may change that, without privilege.
@Suite(.privileged) struct LeasedAccessTests {
    private static let tenant: UInt32 = 64_101

    /// A lease of queue 0 by a user without privilege.
    private static func lease(_ daemon: Daemon, as user: UInt32) throws -> LeaseHolder {
        #expect(chmod(daemon.socket, 0o666) == 0)
        return try asUser(user, user) { try LeaseHolder(daemon, "web0", "queues=0") }
    }

    private static func expectOwner(_ owner: String, group: String? = nil) throws {
        try eventually("the owner is \(owner)") {
            let interface = try Interface("web0")
            return interface?.tun("user") == owner && interface?.tun("group") == group
                && interface?.tun("persist") == "1"
        }
    }

    /// Under each drift policy, and on a device that is down, of which the kernel reports no change of the owner.
    @Test(arguments: ["repair", "report"], [true, false])
    func aConsumerDoesNotStayTheOwner(policy: String, isUp: Bool) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create(
                "web0",
                spec: """
                    {"queues": 4, "owner": \(Self.tenant), "driftPolicy": "\(policy)", "link": {"up": \(isUp)}}
                    """)
            let index = try Interface("web0")?.index
            let holder = try Self.lease(daemon, as: Self.tenant)
            let queue = try #require(holder.queues[0])
            // More often than a contested field is repaired; a device that is down is looked at once a second.
            for _ in 0..<(isUp ? 8 : 2) {
                queue.setOwner(Self.tenant)
                try Self.expectOwner("root")
            }
            try eventually("it is in the history") {
                try daemon.events(of: "web0").contains { $0.reason == "DriftRepaired" && $0.field == "owner" }
            }
            #expect(try daemon.events(of: "web0").allSatisfy { $0.reason != "Contested" && $0.reason != "DriftFound" })
            #expect(throws: TestFailure.self) { try asUser(Self.tenant, Self.tenant) { try Consumer("web0") } }
            // The interface is not removed with its last queue.
            queue.setOwner(Self.tenant)
            queue.setPersistent(false)
            holder.close()
            holder.queues = [:]
            try daemon.waitForLeases([])
            try Self.expectOwner("root")
            #expect(try Interface("web0")?.index == index)
        }
    }

    /// A group cannot be removed again, so that it becomes the daemon's.
    @Test func aGroupOfAConsumerDoesNotStay() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4, "owner": \#(Self.tenant), "driftPolicy": "report"}"#)
            #expect(try Interface("web0")?.tun("group") == nil)
            let holder = try Self.lease(daemon, as: Self.tenant)
            let queue = try #require(holder.queues[0])
            for _ in 0..<8 {
                queue.setGroup(Self.tenant)
                try Self.expectOwner("root", group: "root")
            }
            for _ in 0..<8 {
                queue.setPersistent(false)
                try Self.expectOwner("root", group: "root")
            }
            #expect(try daemon.phase("web0") == "Ready")
        }
    }

    /// The process that opens more queues as the owner keeps those; it gets no others after the lease.
    @Test func aConsumerThatOpensMoreQueuesCannotAfterItsLease() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4, "owner": \#(Self.tenant)}"#)
            let holder = try Self.lease(daemon, as: Self.tenant)
            let queue = try #require(holder.queues[0])
            var opened: [Consumer] = []
            for _ in 0..<50 where opened.isEmpty {
                queue.setOwner(Self.tenant)
                let more = try asUser(Self.tenant, Self.tenant) { try? Consumer("web0") }
                if let more { opened.append(more) }
            }
            holder.close()
            holder.queues = [:]
            try daemon.waitForLeases([])
            try Self.expectOwner("root")
            #expect(throws: TestFailure.self) { try asUser(Self.tenant, Self.tenant) { try Consumer("web0") } }
        }
    }
}
