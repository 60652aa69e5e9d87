import TapSystem
import Foundation
import Logging
import TapCore
import TapHTTP
import TapStore
import TestSupport
import Testing
import Yams

@testable import TapAPI
@testable import TapEngine

@Suite struct APITests {
    private static let web0 = #"{"metadata": {"name": "web0"}, "spec": {"queues": 4}}"#

    @Test func aDeviceFromRequestToReady() async throws {
        try await withWorld { (world) throws in
            let created = try world.send("POST", "/v1/devices?wait=5s", Self.web0)
            #expect(created.status == 201)
            #expect(created.headers["location"] == "/v1/devices/web0")
            #expect(created.headers["etag"] == "\"1\"")
            #expect(created["status", "phase"] as? String == "Ready")
            #expect(created["spec", "link", "mtu"] as? Int == 1_500)
            #expect(world.kernel.own.table.map(\.name) == ["web0"])
            let queues = try world.send("GET", "/v1/devices/web0/queues")
            #expect((queues["items"] as? [Any])?.count == 4)
            #expect(try world.send("GET", "/v1/devices/web0/queues/3")["index"] as? Int == 3)
            #expect(try world.send("GET", "/v1/devices/web0/queues/4").status == 404)
            let list = try world.send("GET", "/v1/devices")
            #expect(list["items", "0", "metadata", "name"] as? String == "web0")
            #expect(try world.send("DELETE", "/v1/devices/web0?wait=5s").status == 200)
            #expect(try world.send("GET", "/v1/devices/web0").status == 404)
            #expect(world.kernel.own.table.isEmpty)
        }
    }

    @Test func anEqualPutChangesNothing() async throws {
        try await withWorld { (world) throws in
            #expect(try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0).status == 201)
            let first = try world.send("GET", "/v1/devices/web0")
            let second = try world.send("PUT", "/v1/devices/web0", Self.web0)
            #expect(second.status == 200)
            #expect(second.headers["etag"] == first.headers["etag"])
            #expect(second["metadata", "generation"] as? Int == 1)
        }
    }

    @Test func aChangedSpecIsANewGenerationAndALabelIsNot() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0)
            let patched = try world.send(
                "PATCH", "/v1/devices/web0?wait=5s", #"{"spec": {"link": {"mtu": 9000}}}"#,
                headers: ["Content-Type": "application/merge-patch+json"])
            #expect(patched.status == 200)
            #expect(patched["metadata", "generation"] as? Int == 2)
            #expect(patched["status", "mtu"] as? Int == 9_000)
            let labelled = try world.send("PATCH", "/v1/devices/web0", #"{"metadata": {"labels": {"a": "b"}}}"#)
            #expect(labelled["metadata", "generation"] as? Int == 2)
            #expect(labelled["metadata", "labels", "a"] as? String == "b")
            let removed = try world.send("PATCH", "/v1/devices/web0", #"{"metadata": {"labels": {"a": null}}}"#)
            #expect((removed["metadata", "labels"] as? [String: Any])?.isEmpty == true)
        }
    }

    @Test func preconditionsHold() async throws {
        try await withWorld { (world) throws in
            func put(_ headers: [String: String]) throws -> Int {
                try world.send("PUT", "/v1/devices/web0", Self.web0, headers: headers).status
            }
            #expect(try put(["If-Match": "*"]) == 412)
            #expect(try put(["If-None-Match": "*"]) == 201)
            #expect(try put(["If-None-Match": "*"]) == 412)
            #expect(try put(["If-Match": "\"99\""]) == 412)
            #expect(try put(["If-Match": "\"98\", \"1\""]) == 200)
            #expect(try world.send("DELETE", "/v1/devices/web0", headers: ["If-Match": "\"7\""]).status == 412)
            let unmodified = try world.send("GET", "/v1/devices/web0", headers: ["If-None-Match": "\"1\""])
            #expect(unmodified.status == 304)
        }
    }

    @Test func aStaleDocumentIsRefused() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0)
            let read = try world.send("GET", "/v1/devices/web0").text
            #expect(try world.send("PUT", "/v1/devices/web0", read).status == 200)
            _ = try world.send("PATCH", "/v1/devices/web0", #"{"spec": {"link": {"mtu": 1400}}}"#)
            let stale = try world.send("PUT", "/v1/devices/web0", read)
            #expect(stale.status == 409)
            #expect(stale["code"] as? String == "STALE_RESOURCE_VERSION")
        }
    }

    @Test(arguments: [
        ("kind", #"{"kind": "tun"}"#), ("multiQueue", #"{"multiQueue": false, "queues": 1}"#),
        ("packetInfo", #"{"packetInfo": true}"#), ("vnetHeader", #"{"vnetHeader": false, "offloads": []}"#),
    ])
    func fixedFieldsAreRefusedByName(field: String, spec: String) async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0)
            let answer = try world.send("PATCH", "/v1/devices/web0", #"{"spec": \#(spec)}"#)
            #expect(answer.status == 409)
            #expect(answer["code"] as? String == "IMMUTABLE_FIELD")
            #expect(answer["errors", "0", "pointer"] as? String == "/spec/\(field)")
        }
    }

    @Test(arguments: [
        ("POST", "/v1/devices", "{", 400, "INVALID_JSON"),
        ("POST", "/v1/devices", "", 400, "INVALID_JSON"),
        ("POST", "/v1/devices", String(repeating: "[", count: 100_000), 400, "INVALID_JSON"),
        ("POST", "/v1/devices", #"{"metadata": {"name": "sixteen-bytes-xx"}}"#, 422, "INVALID_DOCUMENT"),
        ("POST", "/v1/devices", #"{"metadata": {"name": "a"}, "spec": {"queues": 257}}"#, 422, "INVALID_DOCUMENT"),
        ("POST", "/v1/devices?wait=301s", web0, 400, "INVALID_PARAMETER"),
        ("POST", "/v1/devices?color=red", web0, 400, "INVALID_PARAMETER"),
        ("PUT", "/v1/devices/db0", web0, 422, "INVALID_DOCUMENT"),
        ("PATCH", "/v1/devices/web0", "[]", 422, "INVALID_DOCUMENT"),
        ("PATCH", "/v1/devices/web0", #"{"spec": {"link": {"macAdress": null}}}"#, 422, "INVALID_DOCUMENT"),
        ("PATCH", "/v1/devices/web0", "{}", 404, "DEVICE_NOT_FOUND"),
        ("GET", "/v1/devices/sixteen-bytes-xx", nil, 404, "DEVICE_NOT_FOUND"),
        ("PATCH", "/v1/devices/sixteen-bytes-xx", "{}", 404, "DEVICE_NOT_FOUND"),
        ("PUT", "/v1/devices/sixteen-bytes-xx", "{}", 422, "INVALID_DOCUMENT"),
        ("PUT", "/v1/devices/all", "{}", 422, "INVALID_DOCUMENT"),
        ("PUT", "/v1/devices/tap%25d", "{}", 422, "INVALID_DOCUMENT"),
        ("POST", "/v1/devices", #"{"metadata": {"name": "tap%d"}}"#, 422, "INVALID_DOCUMENT"),
        ("POST", "/v1/devices", #"{"metadata": {"name": "a b"}}"#, 422, "INVALID_DOCUMENT"),
        ("POST", "/v1/apply", #"{"devices": [{"metadata": {"name": "sixteen-bytes-xx"}}]}"#, 422, "INVALID_DOCUMENT"),
        (
            "POST", "/v1/apply?dryRun=true", #"{"devices": [{"metadata": {"name": "default"}}]}"#, 422,
            "INVALID_DOCUMENT"
        ),
        ("DELETE", "/v1/devices/web0", nil, 404, "DEVICE_NOT_FOUND"),
        ("GET", "/v1/nothing", nil, 404, "ROUTE_NOT_FOUND"),
        ("BREW", "/v1/devices", nil, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/events?limit=0", nil, 400, "INVALID_PARAMETER"),
        ("POST", "/v1/devices", "large", 413, "BODY_TOO_LARGE"),
    ])
    func mistakesAreProblems(method: String, target: String, body: String?, status: Int, code: String) async throws {
        try await withWorld { (world) throws in
            let answer = try world.send(method, target, body == "large" ? String(repeating: " ", count: 9 << 20) : body)
            #expect(answer.status == status)
            #expect(answer.headers["content-type"] == "application/problem+json")
            #expect(answer["code"] as? String == code)
            #expect(answer["status"] as? Int == status)
            #expect((answer["detail"] as? String)?.isEmpty == false)
            #expect(try world.send("GET", "/livez").status == 200)
        }
    }

    @Test func theMediaTypeCounts() async throws {
        try await withWorld { (world) throws in
            for type in ["text/plain", "application/jsonx"] {
                let answer = try world.send("POST", "/v1/devices", Self.web0, headers: ["Content-Type": type])
                #expect(answer.status == 415)
            }
            for coding in ["gzip", "gzip, identity"] {
                let packed = try world.send("POST", "/v1/devices", Self.web0, headers: ["Content-Encoding": coding])
                #expect(packed.status == 415)
                #expect((packed["detail"] as? String)?.contains("'\(coding)'") == true)
            }
            let answer = try world.send(
                "POST", "/v1/devices", Self.web0,
                headers: ["Content-Type": "application/json; charset=utf-8", "Content-Encoding": "identity"])
            #expect(answer.status == 201)
        }
    }

    @Test func aWrongMethodListsTheAllowedOnes() async throws {
        try await withWorld { (world) throws in
            #expect(
                try world.send("POST", "/v1/devices/web0", "{}").headers["allow"]
                    == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")
            #expect(try world.send("HEAD", "/v1/devices").status == 200)
        }
    }

    @Test func requestsHaveIdentifiers() async throws {
        try await withWorld { (world) throws in
            let own = try world.send("GET", "/livez", headers: ["X-Request-Id": "abc-123"])
            #expect(own.headers["x-request-id"] == "abc-123")
            let bad = try world.send("GET", "/livez", headers: ["X-Request-Id": "a\"b"])
            #expect(bad.headers["x-request-id"] != "a\"b")
            let problem = try world.send("GET", "/nothing")
            #expect(problem["requestId"] as? String == problem.headers["x-request-id"])
        }
    }

    @Test func driftIsRepairedAndReported() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0)
            world.kernel.own.change("web0") { $0?.mtu = 9_000 }
            try eventually("the MTU is back") { world.kernel.own.table.first?.mtu == 1_500 }
            try eventually("it is counted") { try world.metric("tapster_drift_repairs_total", "link.mtu") == 1 }
            var drift: [String: Any]?
            try eventually("it is in the history") {
                let events = try world.send("GET", "/v1/events?device=web0")["items"] as? [[String: Any]]
                drift = events?.first { $0["reason"] as? String == "DriftRepaired" }
                return drift != nil
            }
            #expect(drift?["field"] as? String == "link.mtu")
            #expect(drift?["wanted"] as? Int == 1_500)
            #expect(drift?["observed"] as? Int == 9_000)
        }
    }

    @Test func aForeignDeviceIsAConflictUntilItGoes() async throws {
        try await withWorld { (world) throws in
            let index = world.kernel.own.freshIndex()
            world.kernel.own.change("web0") { $0 = ObservedLink(index: index, name: "web0") }
            #expect(try world.send("PUT", "/v1/devices/web0?wait=1ms", Self.web0).status == 202)
            try eventually("the conflict is reported") {
                try world.send("GET", "/v1/devices/web0")["status", "phase"] as? String == "Degraded"
            }
            let answer = try world.send("GET", "/v1/devices/web0")
            let conditions = answer["status", "conditions"] as? [[String: Any]]
            let conflict = conditions?.first { $0["type"] as? String == "Conflict" }
            #expect(conflict?["status"] as? String == "True")
            #expect((conflict?["message"] as? String)?.contains("ip link del web0") == true)
            #expect(world.kernel.own.table.map(\.index) == [index])
            world.kernel.own.change("web0") { $0 = nil }
            try eventually("ours takes its place") {
                try world.send("GET", "/v1/devices/web0")["status", "phase"] as? String == "Ready"
            }
        }
    }

    @Test(arguments: ["create", "set_owner", "set_offloads", "persist", "set_link", "set_queue_discipline"])
    func aFailingStepIsReportedAndRetried(step: String) async throws {
        try await withWorld { (world) throws in
            world.kernel.own.fail(step, with: .outOfMemory)
            #expect(try world.send("PUT", "/v1/devices/web0?wait=1ms", Self.web0).status == 202)
            try eventually("the failure is reported") {
                let error = try world.send("GET", "/v1/devices/web0")["status", "lastError"] as? String
                return error?.contains("\(step) failed with ENOMEM") == true
            }
            #expect(try world.metric("tapster_kernel_errors_total", "ENOMEM") > 0)
            // The failure of one device does not delay another.
            world.kernel.own.fail(step, with: nil)
            #expect(try world.send("PUT", "/v1/devices/db0?wait=5s", #"{"spec": {}}"#).status == 201)
            try eventually("it heals by itself") {
                try world.send("GET", "/v1/devices/web0")["status", "phase"] as? String == "Ready"
            }
            #expect(world.kernel.own.table.count == 2)
        }
    }

    @Test func aDeletionThatSucceedsLaterLeavesThePassesAtRest() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0)
            world.kernel.own.fail("delete", with: .outOfMemory)
            #expect(try world.send("DELETE", "/v1/devices/web0?wait=50ms").status == 202)
            try eventually("the failure is reported") {
                try world.send("GET", "/v1/devices/web0")["status", "lastError"] is String
            }
            world.kernel.own.fail("delete", with: nil)
            try eventually("it is gone") { try world.send("GET", "/v1/devices/web0").status == 404 }
            usleep(100_000)
            let passes = try world.metric("tapster_reconcile_passes_total")
            usleep(300_000)
            #expect(try world.metric("tapster_reconcile_passes_total") == passes)
        }
    }

    @Test func aWaitEndsWhenTheDeviceIsDeleted() async throws {
        try await withWorld { (world) throws in
            world.kernel.own.fail("create", with: .outOfMemory)
            let waiting = try HTTPClient(socket: world.socket)
            let head = "Host: x\r\nContent-Type: application/json\r\nContent-Length: \(Self.web0.utf8.count)"
            try waiting.write("PUT /v1/devices/web0?wait=300s HTTP/1.1\r\n\(head)\r\n\r\n\(Self.web0)")
            try eventually("the device exists") { try world.send("GET", "/v1/devices/web0").status == 200 }
            #expect(try world.send("DELETE", "/v1/devices/web0?wait=10s").status == 200)
            #expect(try waiting.readAnswer().status == 202)
        }
    }

    @Test func concurrentWritesAreAllKept() async throws {
        try await withWorld { (world) throws in
            let socket = world.socket
            DispatchQueue.concurrentPerform(iterations: 8) { thread in
                let client = try? HTTPClient(socket: socket)
                for number in 0..<25 {
                    let body = #"{"metadata": {"name": "d\#(thread)-\#(number)"}}"#
                    #expect((try? client?.send("POST", "/v1/devices", json: body).status) == 201)
                }
            }
            try eventually("all are ready") { try world.metric("tapster_devices", #"phase="Ready""#) == 200 }
            #expect(try world.send("GET", "/v1/devices")["metadata", "resourceVersion"] as? String == "200")
        }
    }

    @Test func readinessIsReported() async throws {
        try await withWorld { (world) throws in
            let answer = try world.send("GET", "/readyz?verbose")
            #expect(answer.status == 200)
            #expect(answer.text.contains("[+] kernel ok"))
            #expect(answer.text.contains("[+] privileges ok"))
            #expect(answer.headers["content-type"]?.hasPrefix("text/plain") == true)
        }
    }

    @Test func aRequestThatAcceptsNoJSONIsRefused() async throws {
        try await withWorld { (world) throws in
            for (method, path, body) in [
                ("PUT", "/v1/devices/web0", "{}"), ("GET", "/v1/devices", nil), ("POST", "/v1/reconcile", nil),
            ] {
                let refused = try world.send(method, path, body, headers: ["Accept": "text/html, application/json;q=0"])
                #expect(refused.status == 406)
                #expect(refused["code"] as? String == "NOT_ACCEPTABLE")
            }
            #expect(try world.send("GET", "/v1/devices/web0").status == 404)
            #expect((try world.send("GET", "/v1/events")["items"] as? [Any])?.isEmpty == true)
            // A response without a body is not refused for its type.
            #expect(try world.send("DELETE", "/v1/apply/1", headers: ["Accept": "text/html"]).status == 404)
            let client = try HTTPClient(socket: world.socket)
            try client.write(
                "GET /v1/devices HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nAccept: text/html\r\n\r\n")
            #expect(try client.readAnswer().status == 200)
            for accept in ["*/*", "application/*", "text/html, */*;q=0.1", "application/json;charset=utf-8", "", "*"] {
                #expect(try world.send("GET", "/v1/devices", headers: ["Accept": accept]).status == 200)
            }
            // Scrapers and browsers get the only type there is.
            for path in ["/metrics", "/livez", "/openapi.yaml"] {
                #expect(try world.send("GET", path, headers: ["Accept": "image/png"]).status == 200)
            }
        }
    }

    /// A proxy may filter by path, so that a path must not be normalized to another one here.
    @Test func emptySegmentsAreNotIgnored() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0)
            for path in [
                "//v1/devices", "/v1//devices", "/v1/devices/", "/v1/devices/web0/", "/livez/", "/v1/devices//queues",
            ] {
                let answer = try world.send("GET", path)
                #expect(answer.status == 404, "\(path)")
                #expect(answer["code"] as? String == "ROUTE_NOT_FOUND")
            }
            #expect(try world.send("POST", "/v1/devices/", #"{"metadata": {"name": "web1"}}"#).status == 404)
            #expect(try world.send("GET", "/v1/devices/web1").status == 404)
        }
    }

    @Test func anUnchangedBodyIsNotSentAgain() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", #"{"spec": {"driftPolicy": "report"}}"#)
            let list = try world.send("GET", "/v1/devices?labelSelector=a!%3Db")
            let tag = try #require(list.headers["etag"])
            #expect(tag.hasPrefix("W/\""))
            for known in [tag, String(tag.dropFirst(2)), "\"other\", " + tag, "*"] {
                let again = try world.send("GET", "/v1/devices?labelSelector=a!%3Db", headers: ["If-None-Match": known])
                #expect(again.status == 304)
                #expect(again.body.isEmpty)
                #expect(again.headers["etag"] == tag)
            }
            // The entity tag covers the status too, not only the spec.
            world.kernel.own.change("web0") { $0?.mtu = 1_400 }
            #expect(try world.send("POST", "/v1/reconcile?wait=5s").status == 200)
            let changed = try world.send("GET", "/v1/devices?labelSelector=a!%3Db", headers: ["If-None-Match": tag])
            #expect(changed.status == 200)
            for path in [
                "/openapi.yaml", "/openapi.json", "/v1/devices/web0", "/v1/devices/web0/queues", "/v1/assignments",
                "/v1/leases", "/v1/drift", "/v1/unmanaged", "/v1/events", "/v1/revisions", "/v1/revisions/1",
                "/version",
                "/v1/devices/web0/queues/0",
            ] {
                // An event may still change the body in between.
                try eventually("\(path) is as it was") {
                    let tag = try #require(try world.send("GET", path).headers["etag"])
                    return try world.send("GET", path, headers: ["If-None-Match": tag]).status == 304
                }
            }
        }
    }

    /// Clients may send `wait` with every write, even with those that never wait.
    @Test func everyWriteAcceptsWait() async throws {
        try await withWorld { (world) throws in
            _ = try world.send("PUT", "/v1/devices/web0?wait=5s", Self.web0)
            let queue = "/v1/devices/web0/queues/1"
            #expect(try world.send("PATCH", queue + "?wait=5s", #"{"enabled": false}"#).status == 200)
            #expect(try world.send("PUT", queue + "/assignment?wait=5s", #"{"consumer": "vm"}"#).status == 201)
            #expect(try world.send("DELETE", queue + "/assignment?wait=5s").status == 204)
            let free = #"{"consumer": "vm", "count": 1}"#
            #expect(try world.send("POST", "/v1/devices/web0/assignments?wait=5s", free).status == 201)
            #expect(try world.send("POST", "/v1/backup?wait=5s").status == 201)
            #expect(try world.send("DELETE", "/v1/leases/0123456789abcdef?wait=5s").status == 404)
            #expect(try world.send("POST", "/v1/apply/1/confirm?wait=5s").status == 404)
            let trial = try world.send(
                "POST", "/v1/apply?confirmWithin=1m&wait=5s",
                #"{"devices": [{"metadata": {"name": "web0"}, "spec": {"queues": 4, "link": {"mtu": 1400}}}]}"#)
            let revision = try #require(trial["revision"] as? String)
            #expect(world.kernel.own.table.map(\.mtu) == [1_400])
            #expect(try world.send("DELETE", "/v1/apply/\(revision)?wait=5s").status == 204)
            #expect(world.kernel.own.table.map(\.mtu) == [1_500])
            #expect(try world.send("DELETE", "/v1/apply/\(revision)?wait=5s").status == 204)
            let wrong = try world.send("DELETE", queue + "/assignment?wait=ever")
            #expect(wrong.status == 400)
            #expect(try world.send("GET", "/v1/devices?wait=5s").status == 400)
        }
    }

    /// The contract lists the event reasons of the code.
    @Test func theContractListsExactlyTheEventReasons() throws {
        let yaml = try #require(
            try Yams.load(yaml: String(decoding: OpenAPIDocument.yaml, as: UTF8.self)) as? [String: Any])
        let schemas = try #require((yaml["components"] as? [String: Any])?["schemas"] as? [String: [String: Any]])
        let properties = try #require(schemas["Event"]?["properties"] as? [String: [String: Any]])
        let events = try #require((properties["reason"]?["anyOf"] as? [[String: Any]])?.first?["enum"] as? [String])
        let notReady = try #require(schemas["NotReadyReason"]?["enum"] as? [String])
        #expect((events + notReady).sorted() == EventReason.allCases.map(\.rawValue).sorted())
    }

    /// Handlers read path segments by their name in the pattern.
    @Test func everyNameInAPatternIsKnown() async throws {
        try await withWorld { (world) throws in
            let named = world.routes.flatMap { $0.split(separator: "/") }.filter { $0.hasPrefix("{") }
            #expect(Set(named) == Set(PathParameter.allCases.map { "{\($0.rawValue)}" }))
        }
    }

    /// The contract and the router have the same operations.
    @Test func theContractListsExactlyTheRoutes() async throws {
        try await withWorld { (world) throws in
            let yaml = try #require(
                try Yams.load(yaml: String(decoding: OpenAPIDocument.yaml, as: UTF8.self)) as? [String: Any])
            let paths = try #require(yaml["paths"] as? [String: [String: Any]])
            let methods: Set = ["get", "post", "put", "patch", "delete"]
            let documented = paths.flatMap { path, item in
                item.keys.filter(methods.contains).map { "\($0.uppercased()) \(path)" }
            }
            #expect(documented.sorted() == world.routes.sorted())
            #expect(try world.send("GET", "/openapi.yaml").body == Data(OpenAPIDocument.yaml))
            #expect(try world.send("GET", "/openapi.json")["openapi"] as? String == "3.1.0")
        }
    }

    /// Names that no interface and no namespace can have. The kernel's part is in `ImpossibleNameTests`.
    @Test(arguments: [
        (#"{"link": {"controller": "br%d"}}"#, "/spec/link/controller"),
        (#"{"link": {"controller": "all"}}"#, "/spec/link/controller"),
        (#"{"link": {"controller": "default"}}"#, "/spec/link/controller"),
        (#"{"link": {"controller": "à"}}"#, "/spec/link/controller"),
        (#"{"link": {"altNames": ["lo"]}}"#, "/spec/link/altNames"),
        (#"{"link": {"altNames": ["br0"], "controller": "br0"}}"#, "/spec/link/altNames"),
        (#"{"networkNamespace": "/run/netns/"}"#, "/spec/networkNamespace"),
        (#"{"networkNamespace": "/\#(String(repeating: "n", count: 256))"}"#, "/spec/networkNamespace"),
    ])
    func namesThatCannotBeAreRefused(spec: String, pointer: String) async throws {
        try await withWorld { (world) throws in
            let answer = try world.send("PUT", "/v1/devices/web0", #"{"spec": \#(spec)}"#)
            #expect(answer.status == 422)
            #expect(answer.pointers == [pointer])
            #expect(try world.send("PUT", "/v1/devices/web0", "{}").status == 201)
            #expect(try world.send("PATCH", "/v1/devices/web0", #"{"spec": \#(spec)}"#).pointers == [pointer])
        }
    }

    @Test func theReasonWhyNothingCanBeManagedIsShown() async throws {
        try await withWorld { (world) throws in
            world.kernel.own.take(KernelError("change_links", .noPermission, advice: "a capability is missing"))
            _ = try world.send("POST", "/v1/reconcile?wait=10s")
            let answer = try world.send("GET", "/readyz")
            #expect(answer.status == 503)
            #expect(answer.text.contains("[-] privileges change_links failed with EPERM: a capability is missing"))
            world.kernel.own.take(nil)
            _ = try world.send("POST", "/v1/reconcile?wait=10s")
            #expect(try world.send("GET", "/readyz").status == 200)
        }
    }
}

extension World {
    /// Every route, as `METHOD pattern`.
    var routes: [String] {
        (service.api as? RoutedHandler)?.router.routes.map { "\($0.method) \($0.pattern)" } ?? []
    }
}
