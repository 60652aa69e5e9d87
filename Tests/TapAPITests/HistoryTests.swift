import Foundation
import TapCore
import TapDocument
import TapStore
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// Revisions, rollback, events, pages and backups.
@Suite struct HistoryTests {
    private static func changes(_ entry: Any) -> [String] {
        ((entry as? [String: Any])?["changes"] as? [[String: Any]] ?? []).map {
            "\($0["name"] ?? "") \($0["change"] ?? "")"
        }
    }

    @Test func everyRevisionHasItsChangesAndAuthor() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 1)
            try world.state("web1", queues: 2)
            let labels = #"{"metadata": {"labels": {"a": "b"}}}"#
            let patched = try world.send("PATCH", "/v1/devices/web0", labels, headers: ["X-Request-Id": "mine"])
            #expect(patched.status == 200)
            #expect(try world.send("PUT", "/v1/devices/web1/queues/1/assignment", #"{"consumer": "vm"}"#).status == 201)
            #expect(try world.send("DELETE", "/v1/devices/web1").status == 202)
            let items = try world.send("GET", "/v1/revisions")["items"] as? [[String: Any]] ?? []
            #expect(
                items.map(Self.changes) == [["web1 deleted"], ["web0 updated"], ["web1 created"], ["web0 created"]])
            #expect(items[1]["actor"] as? String == "uid:\(getuid())")
            #expect(items[1]["source"] as? String == "pid \(getpid())")
            #expect(items[1]["requestId"] as? String == "mine")
            #expect(items[1]["revision"] as? String == patched["metadata", "resourceVersion"] as? String)
            let older = try world.send("GET", "/v1/revisions?before=\(items[1]["revision"] ?? "")&limit=1")
            #expect((older["items"] as? [[String: Any]])?.map(Self.changes) == [["web1 created"]])
            let past = try world.send("GET", "/v1/revisions/\(items[2]["revision"] ?? "")")
            let devices = try #require(past["devices"] as? [[String: Any]])
            #expect(devices.compactMap { ($0["metadata"] as? [String: Any])?["name"] as? String } == ["web0", "web1"])
            // Its devices can be applied unchanged.
            let document = try JSONSerialization.data(withJSONObject: ["devices": devices])
            let plan = try world.send("POST", "/v1/apply?dryRun=true", String(decoding: document, as: UTF8.self))
            #expect(plan.status == 200 || plan["code"] as? String == "DEVICE_DELETING")
        }
    }

    @Test func aRollbackIsANewRevision() async throws {
        try await withWorld { (world) throws in
            try world.state("old", queues: 1)
            try world.state("web0", queues: 2)
            let good = try #require(try world.send("GET", "/v1/devices")["metadata", "resourceVersion"] as? String)
            try world.state("web0", queues: 4)
            try world.state("new", queues: 1)
            #expect(try world.send("DELETE", "/v1/devices/old?wait=5s").status == 200)
            let plan = try world.send("POST", "/v1/revisions/\(good)/rollback?dryRun=true")
            #expect(plan.status == 200)
            let changes = ["old created", "web0 updated", "new deleted"]
            #expect(Self.changes(plan.json) == changes)
            let rolledBack = try world.send("POST", "/v1/revisions/\(good)/rollback?wait=5s")
            #expect(rolledBack.status == 200)
            #expect(Self.changes(rolledBack.json) == changes)
            #expect(try world.send("GET", "/v1/devices/new").status == 404)
            #expect(try world.send("GET", "/v1/devices/web0")["spec", "queues"] as? Int == 2)
            #expect(try world.send("GET", "/v1/devices/old?")["status", "phase"] as? String == "Ready")
            let last = try world.send("GET", "/v1/revisions?limit=1")
            #expect(last["items", "0", "revision"] as? String == rolledBack["revision"] as? String)
            // A second rollback changes nothing.
            let again = try world.send("POST", "/v1/revisions/\(good)/rollback")
            #expect(Self.changes(again.json) == ["old unchanged", "web0 unchanged"])
        }
    }

    @Test func anUnknownRevisionIsRefused() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 2)
            #expect(try world.send("PUT", "/v1/devices/web0/queues/1/assignment", #"{"consumer": "vm"}"#).status == 201)
            for (revision, detail) in [
                ("2", "that of revision 1"), ("9", "that of revision 1"), ("x", "'x'"), ("0", "'0'"),
            ] {
                for (method, path) in [("GET", ""), ("POST", "/rollback")] {
                    let answer = try world.send(method, "/v1/revisions/\(revision)\(path)")
                    #expect(answer.status == 404)
                    #expect(answer["code"] as? String == "REVISION_NOT_FOUND")
                    #expect((answer["detail"] as? String)?.contains(detail) == true)
                }
            }
        }
    }

    @Test func eventsHaveTheirAuthor() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 1)
            let patch = #"{"spec": {"link": {"mtu": 9000}}, "metadata": {"labels": {"a": "b"}}}"#
            #expect(try world.send("PATCH", "/v1/devices/web0?wait=5s", patch).status == 200)
            try eventually("both generations are in the history") {
                let events = try world.send("GET", "/v1/events?device=web0")["items"] as? [[String: Any]] ?? []
                return events.filter { $0["reason"] as? String == "Converged" }.count == 2
            }
            let events = try world.send("GET", "/v1/events?device=web0")["items"] as? [[String: Any]] ?? []
            let authored = events.filter { $0["actor"] is String }
            #expect(authored.map { $0["reason"] as? String } == ["Created", "Updated"])
            #expect(authored.map { $0["revision"] as? String } == ["1", "2"])
            #expect(authored.last?["message"] as? String == "changed: link.mtu, labels")
            #expect(events.contains { $0["reason"] as? String == "Converged" && $0["actor"] is NSNull })
        }
    }
}

@Suite struct PagingTests {
    @Test func pagesHaveEveryDeviceOnce() async throws {
        try await withWorld { (world) throws in
            let names = (10..<17).map { "d\($0)" }
            for name in names {
                let labels = name == "d12" ? "{}" : #"{"vm": "web"}"#
                let body = #"{"metadata": {"labels": \#(labels)}}"#
                #expect(try world.send("PUT", "/v1/devices/\(name)", body).status == 201)
            }
            var (found, next, pages): ([String], String?, Int) = ([], nil, 0)
            repeat {
                let target = "/v1/devices?labelSelector=vm%3Dweb&limit=2" + (next.map { "&continue=\($0)" } ?? "")
                let page = try world.send("GET", target)
                // A watch from the revision of the first page misses nothing.
                #expect(page["metadata", "resourceVersion"] as? String == "7")
                let items = page["items"] as? [[String: Any]] ?? []
                found += items.compactMap { ($0["metadata"] as? [String: Any])?["name"] as? String }
                next = page["metadata", "continue"] as? String
                pages += 1
                // Devices created or deleted on other pages do not shift the page.
                _ = try world.send("PUT", "/v1/devices/a\(pages)", "{}")
                if pages == 1 { #expect(try world.send("DELETE", "/v1/devices/d10?wait=5s").status == 200) }
            } while next != nil
            #expect(found == names.filter { $0 != "d12" })
            #expect(pages == 3)
        }
    }

    @Test func anInvalidTokenIsRefused() async throws {
        try await withWorld { (world) throws in
            for token in ["", ".", "417", "417.", "x.web0", "-1.web0", "01.web0", "1.a%2Fb", "1.sixteencharacter"] {
                let answer = try world.send("GET", "/v1/devices?continue=\(token)")
                #expect(answer.status == 400)
                #expect(answer["code"] as? String == "INVALID_PARAMETER")
            }
            for limit in ["0", "1001", "-1", "x"] {
                #expect(try world.send("GET", "/v1/devices?limit=\(limit)").status == 400)
            }
        }
    }
}

@Suite struct OptionsTests {
    @Test func optionsListsTheAllowedMethods() async throws {
        try await withWorld { (world) throws in
            let answer = try world.send("OPTIONS", "/v1/devices/web0")
            #expect(answer.status == 204)
            #expect(answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")
            #expect(try world.send("OPTIONS", "*").headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
            #expect(try world.send("OPTIONS", "/nothing").status == 404)
        }
    }
}

@Suite struct BackupTests {
    @Test func aBackupIsACompleteDatabase() async throws {
        try await withWorld { (world) throws in
            try world.state("web0", queues: 4)
            let answer = try world.send("POST", "/v1/backup")
            #expect(answer.status == 201)
            #expect(answer["revision"] as? String == "1")
            let path = try #require(answer["path"] as? String)
            #expect(URL(fileURLWithPath: path).deletingLastPathComponent().path == world.directory)
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.size] as? Int == answer["bytes"] as? Int)
            #expect((attributes[.posixPermissions] as? Int ?? 0o777) & 0o077 == 0)
            // The copy is one file, and a daemon starts from it.
            let (devices, revision) = try Store(path: path).load()
            #expect(devices.map(\.name.text) == ["web0"])
            #expect(devices.first?.spec.queues.count.value == 4)
            #expect(revision == 1)
            let events = try world.send("GET", "/v1/events?limit=1000")["items"] as? [[String: Any]] ?? []
            #expect(events.contains { $0["reason"] as? String == "BackedUp" })
        }
    }

    @Test func backupsAreLimited() async throws {
        try await withWorld { (world) throws in
            for number in 0..<Store.backupsMax {
                let path = world.directory + "/t.db.backup-\(number)"
                #expect(FileManager.default.createFile(atPath: path, contents: nil))
            }
            let answer = try world.send("POST", "/v1/backup")
            #expect(answer.status == 409)
            #expect(answer["code"] as? String == "TOO_MANY_BACKUPS")
            #expect(try world.send("GET", "/readyz").status == 200)
        }
    }
}

/// `Idempotency-Key`: a repeated request is executed once.
@Suite struct RepetitionTests {
    private static let key = ["Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"]

    @Test func aRepeatedRequestGetsItsAnswer() async throws {
        try await withWorld { (world) throws in
            let body = #"{"metadata": {"name": "web0"}, "spec": {"queues": 4}}"#
            let first = try world.send("POST", "/v1/devices", body, headers: Self.key)
            let second = try world.send("POST", "/v1/devices", body, headers: Self.key)
            for answer in [first, second] {
                #expect(answer.status == 201)
                #expect(answer.headers["location"] == "/v1/devices/web0")
                #expect(answer.headers["etag"] == "\"1\"")
                #expect(answer["metadata", "uid"] as? String == first["metadata", "uid"] as? String)
            }
            #expect(first.headers["idempotency-replayed"] == nil)
            #expect(second.headers["idempotency-replayed"] == "true")
            // Without the key, each of these would assign two more queues.
            for _ in 0..<3 {
                let answer = try world.send(
                    "POST", "/v1/devices/web0/assignments", #"{"consumer": "vm", "count": 2}"#,
                    headers: ["Idempotency-Key": "k"])
                #expect(answer.status == 201)
            }
            let assigned = try world.send("GET", "/v1/assignments")["items"] as? [Any]
            #expect(assigned?.count == 2)
            let backups = try (0..<2).map { _ in
                try world.send("POST", "/v1/backup", headers: ["Idempotency-Key": "b"])["path"] as? String
            }
            #expect(backups[0] != nil && backups[0] == backups[1])
        }
    }

    @Test func anotherRequestWithTheKeyIsRefused() async throws {
        try await withWorld { (world) throws in
            let headers = Self.key
            func post(_ target: String, _ name: String) throws -> Answer {
                try world.send("POST", target, #"{"metadata": {"name": "\#(name)"}}"#, headers: headers)
            }
            // A refusal is not stored.
            #expect(try post("/v1/devices", "no/name").status == 422)
            #expect(try post("/v1/devices?wait=5s", "web0").status == 201)
            let apply = try world.send("POST", "/v1/apply", #"{"devices": []}"#, headers: headers)
            for answer in [try post("/v1/devices?wait=5s", "web1"), try post("/v1/devices", "web0"), apply] {
                #expect(answer.status == 422)
                #expect(answer["code"] as? String == "IDEMPOTENCY_KEY_REUSED")
            }
            for key in ["", "with space", String(repeating: "k", count: 256)] {
                let answer = try world.send(
                    "POST", "/v1/devices", #"{"metadata": {"name": "web2"}}"#, headers: ["Idempotency-Key": key])
                #expect(answer.status == 400)
                #expect(answer["code"] as? String == "INVALID_HEADER")
            }
            // PUT is idempotent anyway: the key is ignored.
            #expect(try world.send("PUT", "/v1/devices/web3", "{}", headers: headers).status == 201)
        }
    }

    @Test func theAnswerOutlivesTheDaemon() async throws {
        let body = #"{"devices": [{"metadata": {"name": "web0"}}]}"#
        try await withRestart { (world) throws in
            #expect(try world.send("POST", "/v1/apply", body, headers: Self.key)["revision"] as? String == "1")
        } afterwards: { (world) throws in
            #expect(try world.send("DELETE", "/v1/devices/web0?wait=5s").status == 200)
            let answer = try world.send("POST", "/v1/apply", body, headers: Self.key)
            #expect(answer["revision"] as? String == "1")
            #expect(try world.send("GET", "/v1/devices/web0").status == 404)
        }
    }
}

@Suite struct ListTests {
    /// The cached list is used only while nothing has changed.
    @Test func aListIsNeverStale() async throws {
        try await withWorld { (world) throws in
            func names(_ query: String = "") throws -> [String] {
                let items = try world.send("GET", "/v1/devices" + query)["items"] as? [[String: Any]] ?? []
                return items.compactMap { ($0["metadata"] as? [String: Any])?["name"] as? String }
            }
            #expect(try names().isEmpty)
            for number in 0..<5 {
                try world.state("d\(number)", queues: 1)
                for _ in 0..<2 { #expect(try names() == (0...number).map { "d\($0)" }) }
                #expect(try names("?limit=1") == ["d0"])
                #expect(try names("?labelSelector=a%3Db").isEmpty)
            }
            let patched = try world.send("PATCH", "/v1/devices/d3?wait=5s", #"{"spec": {"link": {"mtu": 9000}}}"#)
            #expect(patched.status == 200)
            let list = try world.send("GET", "/v1/devices")
            #expect(list["items", "3", "status", "mtu"] as? Int == 9_000)
            // The list also has a revision that changes no device document.
            let path = "/v1/devices/d0/queues/0/assignment"
            #expect(try world.send("PUT", path, #"{"consumer": "vm"}"#).status == 201)
            let later = try world.send("GET", "/v1/devices")
            #expect(later["metadata", "resourceVersion"] as? String == "7")
            #expect(try world.send("DELETE", "/v1/devices/d4?wait=5s").status == 200)
            #expect(try names() == ["d0", "d1", "d2", "d3"])
        }
    }
}
