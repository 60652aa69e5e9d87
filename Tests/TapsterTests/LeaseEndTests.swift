import Foundation
import TestSupport
import Testing

/// How leases end: with their connection, by a permitted request, or with the interface.
@Suite(.privileged) struct LeaseEndTests {
    /// A change that is incompatible with the lease of queues 2 and 3 of `web0`, so that it needs `force=true`.
    struct Statement: CustomTestStringConvertible, Sendable {
        let name: String
        let method: String
        let target: String
        var body: String?
        /// The remaining number of queues; `nil` if the device is deleted.
        let queues: Int?

        var testDescription: String { name }
    }

    private static let others = #"{"metadata": {"name": "keep0"}}"#

    static let statements: [Statement] = [
        Statement(name: "delete", method: "DELETE", target: "/v1/devices/web0?wait=5s", queues: nil),
        Statement(
            name: "shrink", method: "PATCH", target: "/v1/devices/web0?wait=5s", body: #"{"spec": {"queues": 3}}"#,
            queues: 3),
        Statement(
            name: "recreate", method: "PATCH", target: "/v1/devices/web0?wait=5s&recreate=true",
            body: #"{"spec": {"kind": "tun"}}"#, queues: 4),
        Statement(
            name: "open", method: "PATCH", target: "/v1/devices/web0?wait=5s",
            body: #"{"spec": {"access": "open", "multiQueue": true, "owner": 7}}"#,
            queues: 4),
        Statement(
            name: "replace", method: "PUT", target: "/v1/devices/web0?wait=5s", body: #"{"spec": {"queues": 1}}"#,
            queues: 1),
        Statement(
            name: "prune", method: "POST", target: "/v1/apply?prune=true&wait=5s", body: #"{"devices": [\#(others)]}"#,
            queues: nil),
        Statement(
            name: "apply", method: "POST", target: "/v1/apply?wait=5s",
            body: #"{"devices": [\#(others), {"metadata": {"name": "web0"}, "spec": {"queues": 2}}]}"#, queues: 2),
    ]

    @Test(arguments: statements)
    func whatWouldEndALeaseNeedsForce(statement: Statement) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("keep0")
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let first = try LeaseHolder(daemon, "web0", "queues=0")
            let holder = try LeaseHolder(daemon, "web0", "queues=2,3")
            let before = try daemon.send("GET", "/v1/devices/web0").text
            let refusal = try daemon.send(statement.method, statement.target, json: statement.body)
            #expect(refusal.status == 409 && refusal["code"] as? String == "DEVICE_LEASED", "\(refusal.text)")
            #expect(try daemon.send("GET", "/v1/devices/web0").text == before)
            #expect(try daemon.leases() == [first.id, holder.id])
            #expect(!first.isOver && !holder.isOver)

            let answer = try daemon.send(statement.method, statement.target + "&force=true", json: statement.body)
            #expect(answer.status == 200, "\(answer.text)")
            try eventually("the lease is over") { holder.isOver }
            // Compatible leases are kept.
            let goesOn = ["shrink", "replace", "apply"].contains(statement.name)
            try daemon.waitForLeases(goesOn ? [first.id] : [])
            #expect(first.isOver != goesOn)
            // Its copies of the queues get no packets.
            #expect(holder.queues.values.allSatisfy { $0.isAttached != true })
            #expect(try daemon.queues(of: "web0").count == statement.queues ?? 0)
            guard statement.queues != nil else {
                #expect(try Interface("web0") == nil)
                return
            }
            #expect(try Interface("web0")?.attachedQueues == (goesOn ? 1 : 0))
            holder.queues = [:]
            if !goesOn { first.queues = [:] }
            guard statement.name != "open" else { return }
            try daemon.waitUntilReady("web0")
            if statement.queues ?? 0 > 1 { _ = try LeaseHolder(daemon, "web0", "queues=1") }
        }
    }

    /// Changes that do not affect a lease.
    @Test func otherChangesLeaveALeaseAlone() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let holder = try LeaseHolder(daemon, "web0", "queues=0,1")
            let frames = try SteeredFrames(to: holder.interfaceIndex, by: try #require(holder.queues[0]))
            for spec in [
                #"{"link": {"mtu": 9000}}"#, #"{"queues": 8}"#, #"{"queues": 2}"#, #"{"offloads": ["checksum"]}"#,
                #"{"link": {"carrier": "on"}}"#, #"{"link": {"carrier": "automatic", "alias": "x"}}"#,
            ] {
                let answer = try daemon.patch("web0", spec: spec)
                #expect(answer.status < 300, "\(spec): \(answer.text)")
                usleep(50_000)
                #expect(!holder.isOver)
                #expect(try daemon.order(of: "web0") == [0, 1], "\(spec)")
                #expect(try frames.order(of: holder.queues, count: 2) == [0, 1], "\(spec)")
            }
        }
    }

    @Test func anExternallyDeletedInterfaceIsRecreated() async throws {
        try await withDaemon { (daemon) throws in
            for (name, spec) in [
                ("web0", #"{"queues": 4}"#), ("one0", #"{"multiQueue": false}"#),
                ("on0", #"{"queues": 2, "link": {"carrier": "on"}}"#),
            ] {
                try daemon.create(name, spec: spec)
                let holder = try LeaseHolder(daemon, name)
                let bystander = try daemon.leases().subtracting([holder.id])
                try run("ip", "link", "del", name)
                try eventually("the lease is over") { holder.isOver }
                try daemon.waitForLeases(bystander)
                try eventually("there is another one") {
                    guard let interface = try Interface(name) else { return false }
                    return try interface.index != holder.interfaceIndex && daemon.phase(name) == "Ready"
                }
                // Its queues belong to the old interface.
                #expect(holder.queues.values.allSatisfy { $0.isAttached == nil })
                let other = try LeaseHolder(daemon, name)
                #expect(other.interfaceIndex == (try Interface(name)?.index))
                #expect(other.queues.count == holder.queues.count)
                #expect(other.queues.values.allSatisfy { $0.isAttached == true })
                #expect(try daemon.order(of: name) == other.queues.keys.sorted())
            }
        }
    }

    /// Several leases at once; one of them ends by its own connection at the same time.
    @Test func allLeasesOfADeletedInterfaceEnd() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            // Rare enough not to count as contended.
            for round in 0..<4 {
                let holders = try (0..<4).map { try LeaseHolder(daemon, "web0", "queues=\($0)") }
                let isFirst = round % 2 == 0
                if isFirst { holders[1].close() }
                try run("ip", "link", "del", "web0")
                if !isFirst { holders[1].close() }
                for holder in holders where holder !== holders[1] { try eventually("it is over") { holder.isOver } }
                try daemon.waitForLeases([])
                try eventually("there is another one") {
                    guard let interface = try Interface("web0") else { return false }
                    return try interface.index != holders[0].interfaceIndex && daemon.phase("web0") == "Ready"
                }
            }
            try eventually("no queue is attached") { try Interface("web0")?.attachedQueues == 0 }
        }
    }

    /// The consumer's children may hold copies, which get no packets any more.
    @Test func copiesOfADeadConsumerAreDetached() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 4}"#)
            let log = daemon.directory + "/web0.log"
            let consumer = try ChildProcess(
                "/usr/bin/python3", [Examples.path("consumer.py"), "web0", daemon.socket], output: log)
            try eventually("it has the queues") { try Interface("web0")?.attachedQueues == 4 }
            // It may have them a little before the lease is listed.
            try eventually("it is listed") { try daemon.leases().count == 1 }
            consumer.signal(SIGKILL)
            consumer.wait()
            try daemon.waitForLeases([])
            #expect(try Interface("web0")?.attachedQueues == 0)

            let holder = try LeaseHolder(daemon, "web0")
            let kept = holder.queues
            holder.close()
            try eventually("none is attached") { try Interface("web0")?.attachedQueues == 0 }
            #expect(kept.values.allSatisfy { $0.isAttached == false })
            // The copies occupy places in the kernel, but the queues are free.
            let other = try LeaseHolder(daemon, "web0")
            #expect(try daemon.order(of: "web0") == [0, 1, 2, 3])
            #expect(try Interface("web0")?.detachedQueues == 4)
            _ = other
        }
    }
}
