import TapSystem
import Foundation
import Synchronization
import TapCore
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// Drift, on-demand reconcile, and unmanaged devices.
@Suite struct KernelRoutesTests {
    @Test func driftIsListedWithItsPlan() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", #"{"spec": {"driftPolicy": "report"}}"#)
            _ = try world.send("PUT", "/v1/devices/web1?wait=5s", "{}")
            #expect((try world.send("GET", "/v1/drift")["items"] as? [Any])?.isEmpty == true)
            world.kernel.own.change("web0") { $0?.mtu = 9_000 }
            try eventually("the drift is listed") {
                (try world.send("GET", "/v1/drift")["items"] as? [Any])?.count == 1
            }
            let item = try #require((try world.send("GET", "/v1/drift")["items"] as? [[String: Any]])?.first)
            #expect(item["device"] as? String == "web0")
            let drift = try #require((item["drift"] as? [[String: Any]])?.first)
            #expect(drift["field"] as? String == "link.mtu")
            #expect(drift["wanted"] as? Int == 1_500)
            #expect(drift["observed"] as? Int == 9_000)
            let step = try #require((item["plan"] as? [[String: Any]])?.first)
            #expect(step["step"] as? String == "set_link")
            #expect((step["arguments"] as? [String: Any])?["mtu"] as? Int == 1_500)
            #expect(world.kernel.own.table.first { $0.name == "web0" }?.mtu == 9_000)
        }
    }

    /// A controller of any kind that answers EOPNOTSUPP to a port that is to leave.
    @Test func aControllerThatReleasesNothingIsNamed() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", "{}")
            world.kernel.own.fail("set_link", with: .notSupported)
            let index = world.kernel.own.freshIndex()
            world.kernel.own.change("hsr0") { link in
                link = ObservedLink(index: index, name: "hsr0")
                link?.kind = "hsr"
            }
            world.kernel.own.change("web0") { $0?.controller = index }
            func ready() throws -> [String: Any] {
                let answer = try world.send("GET", "/v1/devices/web0")
                let conditions = answer["status", "conditions"] as? [[String: Any]]
                return conditions?.first { $0["type"] as? String == "Ready" } ?? [:]
            }
            try eventually("it is named") { try ready()["reason"] as? String == "ControllerHeld" }
            #expect((try ready()["message"] as? String)?.contains("'hsr0' (hsr)") == true)
            world.kernel.own.fail("set_link", with: nil)
            world.kernel.own.change("web0") { $0?.controller = nil }
            try eventually("it is ready") { try ready()["status"] as? String == "True" }
        }
    }

    @Test func aReconcileRequestRetriesFailures() async throws {
        try await withWorld { (world) throws in
            world.kernel.own.fail("set_link", with: .noBufferSpace)
            #expect(try world.send("PUT", "/v1/devices/web0?wait=1ms", "{}").status == 202)
            try eventually("it fails") {
                (try world.send("GET", "/v1/devices/web0")["status", "lastError"] as? String)?.contains("ENOBUFS")
                    == true
            }
            world.kernel.own.fail("set_link", with: nil)
            #expect(try world.send("POST", "/v1/reconcile?wait=5s").status == 200)
            #expect(try world.send("GET", "/v1/devices/web0")["status", "phase"] as? String == "Ready")
            #expect(try world.send("POST", "/v1/reconcile").status == 202)
            #expect(try world.send("POST", "/v1/reconcile?device=web0&wait=5s").status == 200)
            #expect(try world.send("POST", "/v1/reconcile?device=unknown").status == 404)
            let events = try world.send("GET", "/v1/events?limit=1000")["items"] as? [[String: Any]] ?? []
            let asked = events.filter { $0["reason"] as? String == "ReconcileRequested" }
            #expect(asked.map { $0["device"] as? String } == [nil, nil, "web0"])
            #expect(asked.allSatisfy { $0["actor"] as? String == "uid:0" })
        }
    }

    @Test func unmanagedDevicesAreListedAndAdopted() async throws {
        try await withWorld { (world) throws in
            let index = world.kernel.own.freshIndex()
            var link = ObservedLink(index: index, name: "vnet3")
            link.kind = "tun"
            link.mtu = 1_400
            link.macAddress = try MACAddress("02:00:00:00:00:07")
            link.transmitQueueLength = 500
            link.queueDiscipline = "mq"
            link.up = true
            var tun = ObservedTun(kind: .tap)
            (tun.multiQueue, tun.persistent, tun.owner) = (true, true, 1_000)
            (tun.attachedQueues, tun.detachedQueues) = (2, 0)
            link.tun = tun
            link.carrier = true
            link.attributes = try [.gsoMaxBytes(.standard), .gsoIPv4MaxBytes(GSOMaxBytes(30_000))]
            world.kernel.own.change("vnet3") { $0 = link }
            let listed = try #require((try world.send("GET", "/v1/unmanaged")["items"] as? [[String: Any]])?.first)
            #expect(listed["name"] as? String == "vnet3")
            #expect(listed["owner"] as? Int == 1_000)
            #expect(listed["gsoMaxBytes"] as? Int == 65_536)
            #expect(listed["gsoIPv4MaxBytes"] as? Int == 30_000)
            let holder = try #require((listed["holders"] as? [[String: Any]])?.first)
            #expect(holder["command"] as? String == "qemu")

            #expect(try world.send("POST", "/v1/unmanaged/unknown/adopt").status == 404)
            let adopted = try world.send("POST", "/v1/unmanaged/vnet3/adopt?wait=5s")
            #expect(adopted.status == 201, "\(adopted.text)")
            #expect(adopted["spec", "queues"] as? Int == 2)
            #expect(adopted["spec", "link", "mtu"] as? Int == 1_400)
            #expect(adopted["spec", "owner"] as? Int == 1_000)
            #expect(adopted["spec", "link", "gsoMaxBytes"] is NSNull)
            #expect(adopted["spec", "link", "gsoIPv4MaxBytes"] as? Int == 30_000)
            #expect(adopted["status", "ifindex"] as? Int == Int(index.rawValue))
            #expect((try world.send("GET", "/v1/unmanaged")["items"] as? [Any])?.isEmpty == true)
            #expect(try world.send("POST", "/v1/unmanaged/vnet3/adopt").status == 404)
        }
    }

    /// Each answer needs a full read of the kernel and a search of all processes.
    @Test func requestsForUnmanagedDevicesShareTheirReads() async throws {
        try await withWorld { (world) throws in
            Self.addTap("vnet3", to: world)
            let clients = try (0..<60).map { _ in try HTTPClient(socket: world.socket) }
            let (reads, searches) = (world.kernel.own.dumpCount, world.kernel.modelHolders.searchCount)
            for client in clients { try client.write("GET /v1/unmanaged HTTP/1.1\r\nHost: x\r\n\r\n") }
            let answers = try clients.map { try $0.readAnswer() }
            #expect(answers.allSatisfy { $0.status == 200 && $0["items", "0", "name"] as? String == "vnet3" })
            #expect(Set(answers.map(\.headers["etag"])).count == 1)
            // Usually two: for the first request, and for all that arrived during its read.
            #expect(world.kernel.own.dumpCount - reads <= clients.count / 4)
            #expect(world.kernel.modelHolders.searchCount - searches <= clients.count / 4)
        }
    }

    /// Also while others ask: no answer comes from a read that began before the request.
    @Test func anAnswerShowsWhatTheClientDidBefore() async throws {
        try await withWorld { (world) throws in
            let isOver = Mutex(false)
            let others = DispatchGroup()
            for _ in 0..<8 {
                DispatchQueue.global().async(group: others) {
                    while !isOver.withLock(\.self) { _ = try? world.send("GET", "/v1/unmanaged") }
                }
            }
            defer {
                isOver.withLock { $0 = true }
                others.wait()
            }
            for number in 0..<4 {
                Self.addTap("vnet\(number)", to: world)
                #expect((try world.send("GET", "/v1/unmanaged")["items"] as? [Any])?.count == number + 1)
            }
            #expect(try world.send("POST", "/v1/unmanaged/vnet0/adopt?wait=5s").status == 201)
            #expect((try world.send("GET", "/v1/unmanaged")["items"] as? [Any])?.count == 3)
        }
    }

    private static func addTap(_ name: String, to world: World) {
        var link = ObservedLink(index: world.kernel.own.freshIndex(), name: name)
        link.kind = "tun"
        (link.mtu, link.transmitQueueLength) = (1_500, 1_000)
        link.tun = ObservedTun(kind: .tap)
        world.kernel.own.change(name) { $0 = link }
    }

    /// Otherwise the daemon could not read the spec at its next start.
    @Test func aDeviceThatASpecCannotDescribeIsNotAdopted() async throws {
        try await withWorld { (world) throws in
            var link = ObservedLink(index: world.kernel.own.freshIndex(), name: "vnet3")
            link.kind = "tun"
            link.mtu = 1_500
            link.transmitQueueLength = 1_000
            link.altNames = (0..<17).map { "name\($0)" }
            link.tun = ObservedTun(kind: .tap)
            world.kernel.own.change("vnet3") { $0 = link }
            let answer = try world.send("POST", "/v1/unmanaged/vnet3/adopt")
            #expect(answer.status == 409)
            #expect(answer["code"] as? String == "NOT_ADOPTABLE")
        }
    }

    /// Support for a field of rtnetlink is only visible when the device is read back.
    @Test func aFieldThatTheKernelLacksIsReported() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let world = try World(directory, kernel: ModelKernel(attributes: [.gsoMaxBytes(.standard)]))
                defer { world.stop() }
                let spec = #"{"spec": {"link": {"gsoMaxBytes": 40000, "gsoIPv4MaxBytes": 30000, "mtu": 9000}}}"#
                #expect(try world.send("PUT", "/v1/devices/web0?wait=300ms", spec).status == 202)
                let device = try world.send("GET", "/v1/devices/web0")
                #expect(device["status", "phase"] as? String == "Degraded")
                #expect(device["status", "mtu"] as? Int == 9_000)
                #expect((device["status", "drift"] as? [Any])?.isEmpty == true)
                let conditions = try #require(device["status", "conditions"] as? [[String: Any]])
                let ready = try #require(conditions.first { $0["type"] as? String == "Ready" })
                #expect(ready["reason"] as? String == "Unsupported")
                #expect((ready["message"] as? String)?.contains("link.gsoIPv4MaxBytes") == true)
                let patch = #"{"spec": {"link": {"gsoIPv4MaxBytes": null}}}"#
                #expect(try world.send("PATCH", "/v1/devices/web0?wait=5s", patch).status == 200)
            }
        }
    }

    @Test func aGSOSizeIsPlannedAndRepaired() async throws {
        try await withWorld { (world) throws in
            let spec = #"{"spec": {"link": {"gsoMaxBytes": 40000}, "driftPolicy": "report"}}"#
            let device = try world.send("PUT", "/v1/devices/web0?wait=5s", spec)
            #expect(device.status == 201)
            world.kernel.own.change("web0") { $0?.set(.gsoMaxBytes(.standard)) }
            try eventually("the drift is listed") {
                (try world.send("GET", "/v1/drift")["items"] as? [Any])?.count == 1
            }
            let item = try #require((try world.send("GET", "/v1/drift")["items"] as? [[String: Any]])?.first)
            let drift = try #require((item["drift"] as? [[String: Any]])?.first)
            #expect(drift["field"] as? String == "link.gsoMaxBytes")
            #expect(drift["observed"] as? Int == 65_536)
            let step = try #require((item["plan"] as? [[String: Any]])?.first)
            #expect(step["arguments"] as? [String: Int] == ["gsoMaxBytes": 40_000])
            let patch = #"{"spec": {"driftPolicy": "repair"}}"#
            #expect(try world.send("PATCH", "/v1/devices/web0?wait=5s", patch).status == 200)
            let sizes = world.kernel.own.table.first?.attributes
            #expect(sizes?.contains(.gsoMaxBytes(GSOMaxBytes(unchecked: 40_000))) == true)
            for size in ["511", "65537", "\"big\"", "0"] {
                let answer = try world.send(
                    "PUT", "/v1/devices/web0", #"{"spec": {"link": {"gsoMaxBytes": \#(size)}}}"#)
                #expect(answer.status == 422)
                #expect(answer.pointers == ["/spec/link/gsoMaxBytes"])
            }
        }
    }

    @Test func unsupportedFieldsAreRefused() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let world = try World(directory, kernel: ModelKernel(features: [.tun, .tap, .vnetHeader]))
                defer { world.stop() }
                let answer = try world.send("PUT", "/v1/devices/web0", #"{"spec": {"queues": 2, "napi": true}}"#)
                #expect(answer.status == 422)
                let pointers = (answer["errors"] as? [[String: Any]] ?? []).compactMap { $0["pointer"] as? String }
                #expect(pointers == ["/spec/multiQueue", "/spec/napi"])
            }
        }
    }
}
