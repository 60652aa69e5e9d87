import Foundation
import TapCore
import TapStore
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// Assignments of queues to consumers.
@Suite struct AssignmentTests {
    private static let path = "/v1/devices/web0/queues/2/assignment"
    private static let guest = #"{"consumer": "vm-42", "cpus": [3, 2]}"#

    private static func revision(_ world: World) throws -> String? {
        try world.send("GET", "/v1/devices")["metadata", "resourceVersion"] as? String
    }

    private static func queues(_ answer: Answer) -> [Int] {
        (answer["items"] as? [[String: Any]] ?? []).compactMap { $0["queue"] as? Int }
    }

    @Test func aQueueIsAssignedOnceUntilItIsReleased() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let free = try world.send("GET", Self.path)
            #expect(free.status == 404)
            #expect(free["code"] as? String == "ASSIGNMENT_NOT_FOUND")
            let made = try world.send("PUT", Self.path, Self.guest)
            #expect(made.status == 201)
            #expect(made["consumer"] as? String == "vm-42")
            #expect(made["cpus"] as? [Int] == [2, 3])
            #expect(try world.send("GET", Self.path).body == made.body)
            let queue = try world.send("GET", "/v1/devices/web0/queues/2")
            #expect(queue["assignment", "assignedAt"] as? String == made["assignedAt"] as? String)
            #expect(try world.send("GET", "/v1/devices/web0/queues/1")["assignment"] is NSNull)

            let taken = try world.send("PUT", Self.path, #"{"consumer": "vm-7"}"#)
            #expect(taken.status == 409)
            #expect(taken["code"] as? String == "QUEUE_TAKEN")
            let detail = taken["detail"] as? String ?? ""
            #expect(detail.contains("'vm-42'") && detail.contains("DELETE \(Self.path)"), "\(detail)")

            #expect(try world.send("DELETE", Self.path).status == 204)
            #expect(try world.send("DELETE", Self.path)["code"] as? String == "ASSIGNMENT_NOT_FOUND")
            #expect(try world.send("PUT", Self.path, #"{"consumer": "vm-7"}"#).status == 201)
        }
    }

    @Test func theCPUsMayChangeAndAnEqualAssignmentChangesNothing() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let made = try world.send("PUT", Self.path, Self.guest)
            let revision = try Self.revision(world)
            // An assignment may be sent back as it was read: read-only fields are ignored.
            let equal = try world.send("PUT", Self.path, made.text)
            #expect(equal.status == 200)
            #expect(equal.body == made.body)
            #expect(try Self.revision(world) == revision)
            let moved = try world.send("PUT", Self.path, #"{"consumer": "vm-42"}"#)
            #expect(moved.status == 200)
            #expect(moved["cpus"] as? [Int] == [])
            #expect(moved["assignedAt"] as? String == made["assignedAt"] as? String)
            #expect(try Self.revision(world) != revision)
        }
    }

    /// Assignments are not part of the device document, so that its version stays the same.
    @Test func assignmentsDoNotChangeTheDevice() async throws {
        try await withWorld { (world) throws in
            let device = try world.state("web0", queues: 4)
            _ = try world.send("PUT", Self.path, Self.guest)
            _ = try world.send("PATCH", "/v1/devices/web0/queues/1", #"{"enabled": false}"#)
            _ = try world.send("POST", "/v1/devices/web0/assignments", #"{"consumer": "vm-1", "count": 3}"#)
            _ = try world.send("DELETE", Self.path)
            let after = try world.send("GET", "/v1/devices/web0")
            #expect(after.headers["etag"] == device.headers["etag"])
            #expect(after["metadata", "generation"] as? Int == 1)
            #expect(try Self.revision(world) == "5")
            let events = try world.send("GET", "/v1/events?device=web0&limit=1000")["items"] as? [[String: Any]] ?? []
            let queueEvents = events.filter { ($0["reason"] as? String)?.hasPrefix("Queue") == true }
            #expect(
                queueEvents.compactMap { $0["message"] as? String } == [
                    "queue 2 assigned to vm-42 with the CPUs 2-3", "queue 1 was disabled: it is not leased any more",
                    "queues 0-1, 3 assigned to vm-1", "queue 2 is no longer assigned to vm-42",
                ])
            #expect(
                queueEvents.compactMap { $0["reason"] as? String } == [
                    "QueueAssigned", "QueueDisabled", "QueueAssigned", "QueueReleased",
                ])
        }
    }

    @Test(arguments: [
        ("{}", ["/consumer"]), ("[]", [""]), (#"{"consumer": "-vm"}"#, ["/consumer"]),
        (#"{"consumer": 7, "cpus": 3, "cpu": [1]}"#, ["/consumer", "/cpu", "/cpus"]),
        (#"{"consumer": "vm", "cpus": [0, 8192, "1", 0, -1, 1.5]}"#, (1...5).map { "/cpus/\($0)" }),
        (#"{"consumer": "vm", "count": 2}"#, ["/count"]),
    ])
    func allMistakesComeAtOnce(body: String, pointers: [String]) async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let answer = try world.send("PUT", Self.path, body)
            #expect(answer.status == 422)
            #expect(answer.pointers == pointers)
        }
    }

    @Test(arguments: [
        (#"{"count": 0, "cpus": [9000]}"#, ["/consumer", "/count", "/cpus/0"]),
        (#"{"consumer": "vm", "count": 256}"#, ["/count"]),
        (#"{"consumer": "vm", "queues": [1], "assignedAt": null}"#, ["/assignedAt", "/queues"]),
    ])
    func allMistakesOfManyComeAtOnce(body: String, pointers: [String]) async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let answer = try world.send("POST", "/v1/devices/web0/assignments", body)
            #expect(answer.status == 422)
            #expect(answer.pointers == pointers)
        }
    }

    @Test func missingDevicesAndQueuesHaveDifferentCodes() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            for (method, body) in [("GET", nil), ("PUT", Self.guest), ("DELETE", nil)] {
                let device = try world.send(method, "/v1/devices/db0/queues/2/assignment", body)
                #expect(device["code"] as? String == "DEVICE_NOT_FOUND", "\(method)")
                let queue = try world.send(method, "/v1/devices/web0/queues/4/assignment", body)
                #expect(queue["code"] as? String == "QUEUE_NOT_FOUND", "\(method)")
            }
            #expect(try world.send("POST", "/v1/devices/db0/assignments", Self.guest).status == 404)
            #expect(try world.send("PUT", Self.path, Self.guest, headers: ["Content-Type": "text/plain"]).status == 415)
            #expect(try world.send("PUT", Self.path + "?force=true", Self.guest).status == 400)
        }
    }

    // MARK: Free queues

    @Test func theLowestFreeQueuesAreAssignedAllOrNone() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            _ = try world.send("PUT", "/v1/devices/web0/queues/1/assignment", #"{"consumer": "vm-1"}"#)
            let two = try world.send(
                "POST", "/v1/devices/web0/assignments", #"{"consumer": "vm-2", "count": 2, "cpus": [4, 5]}"#)
            #expect(two.status == 201)
            #expect(Self.queues(two) == [0, 2])
            let items = two["items"] as? [[String: Any]] ?? []
            #expect(items.allSatisfy { $0["cpus"] as? [Int] == [4, 5] && $0["device"] as? String == "web0" })
            let tooMany = try world.send(
                "POST", "/v1/devices/web0/assignments", #"{"consumer": "vm-3", "count": 2}"#)
            #expect(tooMany.status == 409)
            #expect(tooMany["code"] as? String == "TOO_FEW_QUEUES")
            #expect((tooMany["detail"] as? String)?.contains("1 of the 4 queues") == true)
            #expect(try world.send("GET", "/v1/devices/web0/queues/3")["assignment"] is NSNull)
            let one = try world.send("POST", "/v1/devices/web0/assignments", #"{"consumer": "vm-3"}"#)
            #expect(Self.queues(one) == [3])
        }
    }

    @Test func concurrentRequestsGetDifferentQueues() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 200)
            let socket = world.socket
            let answers = Gathered<(consumer: String, status: Int, queues: [Int])>()
            DispatchQueue.concurrentPerform(iterations: 16) { thread in
                guard let client = try? HTTPClient(socket: socket) else { return }
                for number in 0..<8 {
                    let consumer = "vm-\(thread)-\(number)"
                    let body = #"{"consumer": "\#(consumer)", "count": \#(1 + (thread + number) % 3)}"#
                    guard let answer = try? client.send("POST", "/v1/devices/web0/assignments", json: body) else {
                        continue
                    }
                    answers.add((consumer, answer.status, Self.queues(answer)))
                }
            }
            #expect(answers.all.count == 128)
            // More queues were requested than exist, at most three at once; a refused request got none.
            #expect(
                answers.all.allSatisfy { ($0.status == 201) == !$0.queues.isEmpty && [201, 409].contains($0.status) })
            let given = answers.all.flatMap(\.queues)
            #expect(given.count >= 198)
            #expect(Set(given).count == given.count)
            let listed = try world.send("GET", "/v1/assignments")
            #expect(Self.queues(listed) == given.sorted())
            for (consumer, _, queues) in answers.all.prefix(20) {
                #expect(Self.queues(try world.send("GET", "/v1/assignments?consumer=\(consumer)")) == queues)
            }
        }
    }

    @Test func oneOfManyRequestsGetsTheQueue() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let socket = world.socket
            let statuses = Gathered<Int>()
            DispatchQueue.concurrentPerform(iterations: 16) { thread in
                let body = #"{"consumer": "vm-\#(thread)"}"#
                statuses.add((try? HTTPClient(socket: socket).send("PUT", Self.path, json: body).status) ?? 0)
            }
            #expect(statuses.all.sorted() == [201] + Array(repeating: 409, count: 15))
        }
    }

    @Test func assignmentsAreListedOverAllDevices() async throws {
        try await withWorld { (world) throws in
            #expect(Self.queues(try world.send("GET", "/v1/assignments")).isEmpty)
            for name in ["web1", "db0"] {
                try world.state(name, queues: 4)
                for (queue, consumer) in [(3, "vm-1"), (0, "vm-2"), (1, "vm-1")] {
                    let body = #"{"consumer": "\#(consumer)"}"#
                    _ = try world.send("PUT", "/v1/devices/\(name)/queues/\(queue)/assignment", body)
                }
            }
            func places(_ target: String) throws -> [String] {
                let items = try world.send("GET", target)["items"] as? [[String: Any]] ?? []
                return items.map { "\($0["device"] ?? "")-\($0["queue"] ?? "")" }
            }
            #expect(try places("/v1/assignments") == ["db0-0", "db0-1", "db0-3", "web1-0", "web1-1", "web1-3"])
            #expect(try places("/v1/assignments?consumer=vm-1") == ["db0-1", "db0-3", "web1-1", "web1-3"])
            #expect(try places("/v1/assignments?consumer=vm-9") == [])
            #expect(try world.send("GET", "/v1/assignments?consumer=").status == 400)
            #expect(try world.send("GET", "/v1/assignments?device=db0").status == 400)
            // They are deleted with their device.
            _ = try world.send("DELETE", "/v1/devices/db0?wait=5s")
            #expect(try places("/v1/assignments") == ["web1-0", "web1-1", "web1-3"])
            try world.state("db0", queues: 4)
            #expect(try places("/v1/assignments?consumer=vm-1") == ["web1-1", "web1-3"])
        }
    }

    @Test func aWriteMayDependOnTheVersion() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 2)
            let path = "/v1/devices/web0/queues/0"
            let body = #"{"consumer": "vm", "cpus": [1]}"#
            func put(_ headers: [String: String]) throws -> Answer {
                try world.send("PUT", path + "/assignment", body, headers: headers)
            }
            #expect(try put(["If-Match": "*"]).status == 412)
            let free = try #require(try world.send("GET", path).headers["etag"])
            let made = try put(["If-None-Match": "*"])
            #expect(made.status == 201)
            #expect(try put(["If-None-Match": "*"]).status == 412)
            let tag = try #require(made.headers["etag"])
            let read = try world.send("GET", path + "/assignment", headers: ["If-None-Match": "\"x\", \(tag)"])
            #expect(read.status == 304)
            #expect(read.headers["etag"] == tag)
            // The entity tag of a queue covers its wanted state.
            #expect(try world.send("GET", path, headers: ["If-None-Match": free]).status == 200)
            let stale = try world.send("PATCH", path, #"{"enabled": false}"#, headers: ["If-Match": free])
            #expect(stale.status == 412)
            #expect(stale["code"] as? String == "PRECONDITION_FAILED")
            #expect(try world.send("DELETE", path + "/assignment", headers: ["If-Match": "\"1-1\""]).status == 412)
            #expect(try world.send("DELETE", path + "/assignment", headers: ["If-Match": tag]).status == 204)
        }
    }

    @Test func cpusThatAreNotThereAreRefused() async throws {
        try await withWorld { (world) throws in
            world.kernel.modelProcessors.set([0, 1, 3])
            try world.state("web0", queues: 4)
            let one = try world.send(
                "PUT", "/v1/devices/web0/queues/0/assignment", #"{"consumer": "vm", "cpus": [1, 2, 64]}"#)
            #expect(one.status == 422)
            #expect(one.pointers == ["/cpus/1", "/cpus/2"])
            #expect((one["errors", "0", "detail"] as? String)?.contains("online are 0-1, 3") == true)
            let free = #"{"consumer": "vm", "count": 2, "cpus": [4]}"#
            #expect(try world.send("POST", "/v1/devices/web0/assignments", free).pointers == ["/cpus/0"])
            let right = #"{"consumer": "vm", "cpus": [0, 3]}"#
            #expect(try world.send("PUT", "/v1/devices/web0/queues/0/assignment", right).status == 201)
        }
    }
}
