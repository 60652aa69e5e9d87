import TapSystem
import Foundation
import Logging
import Synchronization
import TapCore
import TapDocument
import TapHTTP
import TapStore
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// Whether queues are enabled, and what happens to them and to their assignments when their device changes.
@Suite struct QueueStateTests {
    private static func isEnabled(_ world: World, _ queue: Int, of name: String = "web0") throws -> Bool? {
        try world.send("GET", "/v1/devices/\(name)/queues/\(queue)")["enabled"] as? Bool
    }

    private static func assigned(_ world: World, of name: String = "web0") throws -> [Int: String] {
        let items = try world.send("GET", "/v1/assignments")["items"] as? [[String: Any]] ?? []
        return items.filter { $0["device"] as? String == name }
            .reduce(into: [:]) { $0[$1["queue"] as? Int ?? -1] = $1["consumer"] as? String }
    }

    private static func assign(_ world: World, _ queue: Int, of name: String = "web0", to consumer: String) throws {
        let path = "/v1/devices/\(name)/queues/\(queue)/assignment"
        #expect(try world.send("PUT", path, #"{"consumer": "\#(consumer)"}"#).status == 201)
    }

    private static func disable(_ world: World, _ queue: Int, of name: String = "web0") throws {
        #expect(try world.send("PATCH", "/v1/devices/\(name)/queues/\(queue)", #"{"enabled": false}"#).status == 200)
    }

    @Test func aQueueIsDisabledAndEnabledAgain() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let path = "/v1/devices/web0/queues/1"
            let disabled = try world.send(
                "PATCH", path, #"{"enabled": false}"#, headers: ["Content-Type": "application/merge-patch+json"])
            #expect(disabled.status == 200)
            #expect(disabled["enabled"] as? Bool == false)
            #expect(disabled["index"] as? Int == 1)
            #expect(try (0..<4).map { try Self.isEnabled(world, $0) } == [true, false, true, true])
            let revision = try world.send("GET", "/v1/devices")["metadata", "resourceVersion"] as? String
            #expect(try world.send("PATCH", path, #"{"enabled": false}"#)["enabled"] as? Bool == false)
            #expect(try world.send("PATCH", path, "{}")["enabled"] as? Bool == false)
            #expect(try world.send("GET", "/v1/devices")["metadata", "resourceVersion"] as? String == revision)
            #expect(try world.send("PATCH", path, #"{"enabled": true}"#)["enabled"] as? Bool == true)
            #expect(try Self.isEnabled(world, 1) == true)
        }
    }

    @Test(arguments: [
        (#"{"enabled": "no"}"#, ["/enabled"]), (#"{"enabled": null, "lease": null}"#, ["/enabled", "/lease"]),
        (#"{"enabled": false, "assignment": {"consumer": "vm"}, "index": 0}"#, ["/assignment", "/index"]),
        ("true", [""]),
    ])
    func nothingElseOfAQueueCanBeChanged(body: String, pointers: [String]) async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let answer = try world.send("PATCH", "/v1/devices/web0/queues/1", body)
            #expect(answer.status == 422)
            #expect(answer.pointers == pointers)
            #expect(try Self.isEnabled(world, 1) == true)
        }
    }

    @Test func aSingleQueueCannotBeDetached() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", #"{"spec": {"multiQueue": false}}"#)
            let answer = try world.send("PATCH", "/v1/devices/web0/queues/0", #"{"enabled": false}"#)
            #expect(answer.status == 409)
            #expect(answer["code"] as? String == "SINGLE_QUEUE")
            try Self.assign(world, 0, to: "vm-1")
        }
    }

    // MARK: Changes of the device

    @Test(arguments: [
        ("PUT", "/v1/devices/web0", #"{"spec": {"queues": 2}}"#, "/spec/queues"),
        ("PUT", "/v1/devices/web0", "{}", "/spec/queues"),
        ("PATCH", "/v1/devices/web0", #"{"spec": {"queues": 3}}"#, "/spec/queues"),
        ("PUT", "/v1/devices/web0?recreate=true", #"{"spec": {"multiQueue": false}}"#, "/spec/queues"),
        (
            "POST", "/v1/apply", #"{"devices": [{"metadata": {"name": "web0"}, "spec": {"queues": 3}}]}"#,
            "/devices/0/spec/queues"
        ),
        (
            "POST", "/v1/apply?dryRun=true", #"{"devices": [{"metadata": {"name": "web0"}}]}"#,
            "/devices/0/spec/queues"
        ),
    ])
    func anAssignedQueueIsNotTakenAway(method: String, target: String, body: String, pointer: String) async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            try Self.assign(world, 3, to: "vm-42")
            let answer = try world.send(method, target, body)
            #expect(answer.status == 409)
            #expect(answer["code"] as? String == "QUEUE_TAKEN")
            #expect(answer.pointers == [pointer])
            let detail = answer["detail"] as? String ?? ""
            #expect(detail.contains("queue 3") && detail.contains("'vm-42'") && detail.contains("release"), "\(detail)")
            #expect(try world.send("GET", "/v1/devices/web0")["spec", "queues"] as? Int == 4)
            #expect(try world.send("DELETE", "/v1/devices/web0/queues/3/assignment").status == 204)
            #expect(try world.send(method, target, body).status == 200)
        }
    }

    @Test func everyAssignedQueueThatWouldBeRemovedIsNamed() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            for queue in [1, 2, 3] { try Self.assign(world, queue, to: "vm-\(queue)") }
            let answer = try world.send("PATCH", "/v1/devices/web0", #"{"spec": {"queues": 2}}"#)
            let details = (answer["errors"] as? [[String: Any]] ?? []).compactMap { $0["detail"] as? String }
            #expect(details == ["queue 2 is assigned to 'vm-2'", "queue 3 is assigned to 'vm-3'"])
        }
    }

    @Test func aRemovedQueueLosesItsDisabledMark() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            try Self.assign(world, 0, to: "vm-1")
            for queue in [0, 3] { try Self.disable(world, queue) }
            #expect(try world.state("web0", queues: 2).status == 200)
            #expect(try world.state("web0", queues: 4).status == 200)
            #expect(try [0, 3].map { try Self.isEnabled(world, $0) } == [false, true])
            let single = try world.send(
                "PUT", "/v1/devices/web0?recreate=true&wait=5s", #"{"spec": {"multiQueue": false}}"#)
            #expect(single.status == 200)
            #expect(try Self.isEnabled(world, 0) == true)
            #expect(try Self.assigned(world) == [0: "vm-1"])
        }
    }

    @Test func whileADeviceIsDeletedNothingChanges() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            try Self.assign(world, 0, to: "vm-1")
            world.kernel.own.fail("delete", with: .outOfMemory)
            #expect(try world.send("DELETE", "/v1/devices/web0").status == 202)
            let queue = "/v1/devices/web0/queues/0"
            for (method, target, body) in [
                ("PATCH", queue, #"{"enabled": false}"#), ("PUT", queue + "/assignment", #"{"consumer": "vm-1"}"#),
                ("DELETE", queue + "/assignment", nil),
                ("POST", "/v1/devices/web0/assignments", #"{"consumer": "vm-1"}"#),
            ] {
                let answer = try world.send(method, target, body)
                #expect(answer.status == 409)
                #expect(answer["code"] as? String == "DEVICE_DELETING")
            }
            #expect(try world.send("GET", queue + "/assignment").status == 200)
            world.kernel.own.fail("delete", with: nil)
            // The worker retries by itself and may be faster.
            #expect([200, 404].contains(try world.send("DELETE", "/v1/devices/web0?wait=5s").status))
            #expect(try Self.assigned(world) == [:])
        }
    }

    /// Writers of the device and of its queues read the same record; neither writes back what the other has changed.
    @Test func writesOfTheDeviceAndOfItsQueuesDoNotUndoEachOther() async throws {
        try await withRestart { (world) throws in
            try world.state("web0", queues: 16)
            let socket = world.socket
            DispatchQueue.concurrentPerform(iterations: 8) { thread in
                guard let client = try? HTTPClient(socket: socket) else { return }
                for number in 0..<20 {
                    let path = "/v1/devices/web0/queues/\(thread)"
                    switch (thread, number % 3) {
                    case (0, _):
                        let patch =
                            #"{"metadata": {"labels": {"turn": "\#(number)"}}, "spec": {"queues": \#(16 + number)}}"#
                        #expect((try? client.send("PATCH", "/v1/devices/web0", json: patch).status) == 200)
                    case (_, 0):
                        let body = #"{"consumer": "vm-\#(thread)-\#(number)"}"#
                        #expect((try? client.send("PUT", path + "/assignment", json: body).status) == 201)
                    case (_, 1):
                        let body = #"{"enabled": \#(number % 2 == 0)}"#
                        #expect((try? client.send("PATCH", path, json: body).status) == 200)
                    default: #expect((try? client.send("DELETE", path + "/assignment").status) == 204)
                    }
                }
            }
            // The last rounds: 18 assigns, 19 disables.
            try Self.expectLastTurns(world)
        } afterwards: { (world) throws in
            try Self.expectLastTurns(world)
        }
    }

    private static func expectLastTurns(_ world: World) throws {
        #expect(try world.send("GET", "/v1/devices/web0")["spec", "queues"] as? Int == 35)
        let expected = (1..<8).map { ($0, "vm-\($0)-18") }
        #expect(try assigned(world) == Dictionary(uniqueKeysWithValues: expected))
        #expect(try (0..<9).map { try isEnabled(world, $0) } == (0..<9).map { !(1..<8).contains($0) })
    }

    // MARK: Trials

    private static func apply(_ world: World, _ query: String, queues: Int?) throws -> String {
        let devices = queues.map { #"{"metadata": {"name": "web0"}, "spec": {"queues": \#($0)}}"# } ?? ""
        let answer = try world.send(
            "POST", "/v1/apply?confirmWithin=1h&wait=5s\(query)", #"{"devices": [\#(devices)]}"#)
        #expect(answer.status == 200, "\(answer.text)")
        return try #require(answer["revision"] as? String)
    }

    @Test func aRestoredDeviceHasItsQueuesAgain() async throws {
        try await withRestart { (world) throws in
            try world.state("web0", queues: 4)
            try Self.assign(world, 2, to: "vm-42")
            try Self.disable(world, 1)
            let revision = try Self.apply(world, "&prune=true", queues: nil)
            #expect(try Self.assigned(world) == [:])
            #expect(try world.send("DELETE", "/v1/apply/\(revision)").status == 204)
            #expect(try Self.assigned(world) == [2: "vm-42"])
            #expect(try Self.isEnabled(world, 1) == false)
        } afterwards: { (world) throws in
            #expect(try Self.assigned(world) == [2: "vm-42"])
            #expect(try Self.isEnabled(world, 1) == false)
        }
    }

    /// The device is marked for deletion, but still exists; the worker may delete the record at any moment.
    @Test func aDeviceWhoseDeletionIsRolledBackKeepsItsQueues() async throws {
        try await withRestart { (world) throws in
            try world.state("web0", queues: 4)
            try Self.assign(world, 2, to: "vm-42")
            try Self.disable(world, 1)
            world.kernel.own.fail("delete", with: .outOfMemory)
            let answer = try world.send("POST", "/v1/apply?prune=true&confirmWithin=1h", #"{"devices": []}"#)
            let revision = try #require(answer["revision"] as? String)
            #expect(try world.send("DELETE", "/v1/apply/\(revision)").status == 204)
            world.kernel.own.fail("delete", with: nil)
            #expect(try Self.assigned(world) == [2: "vm-42"])
        } afterwards: { (world) throws in
            #expect(try Self.assigned(world) == [2: "vm-42"])
            #expect(try Self.isEnabled(world, 1) == false)
        }
    }

    /// The worker deletes the record after the writer has read it and before it writes.
    @Test func aDeviceDeletedDuringARollbackIsRestoredWithItsQueues() throws {
        try withTemporaryDirectory { directory in
            let parts = try Parts(directory)
            defer { parts.writes.stop() }
            var record = DeviceRecord(
                name: try DeviceName("web0"), identifier: .random(), labels: .none,
                spec: try DeviceSpec(DeviceSpecDraft()), createdAt: .now())
            record.assignments[0] = Assignment(
                consumer: try ConsumerName("vm-42"), cpus: [], assignedAt: Timestamp(microseconds: 1))
            record.disabledQueues = [0]
            _ = try parts.commit([.restore(record)])
            let deleted = try parts.commit([DeviceChange.deletion(of: record)]).records[0]
            #expect(try parts.store.write { try $0.forget(deleted.identifier) })
            let restored = try parts.commit([.restore(record)]).records[0]
            #expect(try parts.store.load().devices == [restored])
            #expect(restored.assignments == record.assignments && restored.disabledQueues == [0])
        }
    }

    @Test func aRollbackRestoresOnlyTheMarksThatTheTrialRemoved() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            for queue in [0, 3] { try Self.disable(world, queue) }
            let revision = try Self.apply(world, "", queues: 2)
            #expect(try world.send("PATCH", "/v1/devices/web0/queues/0", #"{"enabled": true}"#).status == 200)
            try Self.assign(world, 1, to: "vm-42")
            #expect(try world.send("DELETE", "/v1/apply/\(revision)").status == 204)
            #expect(try (0..<4).map { try Self.isEnabled(world, $0) } == [true, true, true, false])
            #expect(try Self.assigned(world) == [1: "vm-42"])
        }
    }

    @Test func aQueueAssignedDuringATrialIsNotRolledBack() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let revision = try Self.apply(world, "", queues: 8)
            try Self.assign(world, 6, to: "vm-42")
            #expect(try world.send("DELETE", "/v1/apply/\(revision)").status == 204)
            #expect(try world.send("GET", "/v1/devices/web0")["spec", "queues"] as? Int == 8)
            #expect(try Self.assigned(world) == [6: "vm-42"])
            let events = try world.send("GET", "/v1/events?device=web0&limit=1000")["items"] as? [[String: Any]] ?? []
            let skipped = events.first { $0["reason"] as? String == "RollbackSkipped" }
            #expect((skipped?["message"] as? String)?.contains("queue 6 was assigned to 'vm-42'") == true)
        }
    }

    // MARK: Restart, and the kernel

    @Test func aRestartKeepsQueueStates() async throws {
        try await withRestart { (world) throws in
            try world.state("web0", queues: 4)
            let body = #"{"consumer": "vm-42", "count": 2, "cpus": [7, 5]}"#
            #expect(try world.send("POST", "/v1/devices/web0/assignments", body).status == 201)
            try Self.disable(world, 3)
        } afterwards: { (world) throws in
            #expect(try Self.assigned(world) == [0: "vm-42", 1: "vm-42"])
            #expect(try world.send("GET", "/v1/devices/web0/queues/1/assignment")["cpus"] as? [Int] == [5, 7])
            #expect(try Self.isEnabled(world, 3) == false)
            #expect(try world.send("GET", "/v1/devices")["metadata", "resourceVersion"] as? String == "3")
        }
    }

    /// Each PATCH with `force`, also an equal one, is carried out after its commit; a failure is the answer.
    @Test func eachForcedPatchReachesTheKernel() async throws {
        let recorder = Recorder()
        try await onThread {
            try withTemporaryDirectory { directory in
                let (server, writes) = try Self.serve(directory, recorder)
                defer {
                    writes.stop()
                    server.stop()
                }
                let client = try HTTPClient(socket: directory + "/s")
                #expect(try client.send("PUT", "/v1/devices/web0", json: #"{"spec": {"queues": 4}}"#).status == 201)
                let path = "/v1/devices/web0/queues/1"
                #expect(try client.send("PATCH", path, json: #"{"enabled": true}"#).status == 200)
                #expect(recorder.calls.all == [])
                let forced = path + "?force=true"
                #expect(try client.send("PATCH", forced, json: #"{"enabled": false}"#).status == 200)
                #expect(try client.send("PATCH", forced, json: #"{"enabled": false}"#).status == 200)
                #expect(try client.send("PATCH", forced, json: #"{"enabled": true}"#).status == 503)
                // The wanted state is committed nevertheless.
                #expect(try client.send("GET", path)["enabled"] as? Bool == true)
                #expect(try client.send("PATCH", path, json: #"{"enabled": 1}"#).status == 422)
                #expect(try client.send("PATCH", "/v1/devices/web0/queues/9", json: "{}").status == 404)
                #expect(recorder.calls.all == ["web0 1 false", "web0 1 false", "web0 1 true"])
            }
        }
    }

    /// Executes the commands of an inbox instead of the worker, and fails the third.
    private final class Recorder: Sendable {
        let calls = Gathered<String>()

        func perform(_ commands: [LeaseCommand]) {
            for command in commands {
                guard case .setQueue(let name, let index, let isEnabled, let reply) = command else { continue }
                calls.add("\(name) \(index) \(isEnabled)")
                reply(calls.all.count == 3 ? .noLook : nil)
            }
        }
    }

    /// The engine without its worker.
    private struct Parts {
        let store: Store
        let engine: Engine
        var writes: WriteQueue { engine.writes }

        init(_ directory: String) throws {
            store = try Store(path: directory + "/t.db")
            engine = try Engine(
                kernel: ModelKernel(), store: store, accounts: OnlyRoot(), metrics: EngineMetrics(),
                log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, onChange: {}, onReady: {})
            try engine.startWriting()
        }

        func commit(_ changes: [DeviceChange]) throws -> WriteGroup.Commit {
            let result = Mutex<Result<WriteGroup.Commit, Refusal>?>(nil)
            let isOver = DispatchSemaphore(value: 0)
            try engine.write { (group) throws(Refusal) in
                let commit = try group.commit(
                    changes, by: Author(name: "uid:0", source: "pid 1", request: "r"))
                result.withLock { $0 = .success(commit) }
                return { isOver.signal() }
            } fail: { refusal in
                result.withLock { $0 = .failure(refusal) }
                isOver.signal()
            }
            isOver.wait()
            return try #require(result.withLock { $0 }).get()
        }
    }

    private static func serve(
        _ directory: String, _ recorder: Recorder
    ) throws -> (server: HTTPServer, writes: WriteQueue) {
        let engine = try Parts(directory).engine
        let thread = Thread { [inbox = engine.inbox] in
            while !Thread.current.isCancelled {
                recorder.perform(inbox.drainCommands())
                usleep(1_000)
            }
        }
        thread.start()
        let writes = DeviceWrites(engine: engine)
        let routes =
            DeviceRoutes(engine: engine, writes: writes).routes + QueueRoutes(engine: engine, writes: writes).routes
        let server = HTTPServer(
            listener: try HTTPListener(unix: directory + "/s", group: nil),
            handler: RoutedHandler(
                router: Router(routes: routes), authenticator: Authenticator(AccessPolicy(), daemonUser: geteuid()),
                mode: .authenticated,
                metrics: Metrics(), refusals: RefusalLog(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })))
        try server.start()
        return (server, engine.writes)
    }
}
