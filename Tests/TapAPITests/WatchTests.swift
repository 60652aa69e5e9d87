import Foundation
import TapHTTP
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// `GET /v1/watch` as clients see it.
@Suite struct WatchTests {
    @Test func theInitialStateComesBeforeTheChanges() async throws {
        try await withWorld { (world) throws in
            try world.state("a", queues: 1)
            try world.state("b", queues: 2)
            let stream = try world.watch()
            #expect(stream.status == 200)
            #expect(stream.headers["content-type"] == "application/x-ndjson")
            let first = try stream.eventsUntilBookmark()
            #expect(first.map(\.summary).sorted() == ["ADDED a", "ADDED b", "BOOKMARK"])
            #expect(first.last?.resourceVersion == "2")
            #expect(try first.filter { $0.name == "b" }.allSatisfy { try world.isCurrent($0) })

            try world.state("c", queues: 1)
            let made = try stream.events { $0.isReady }
            #expect(made.first?.summary == "ADDED c")
            #expect(made.dropFirst().allSatisfy { $0.summary == "MODIFIED c" })
            #expect(try world.isCurrent(try #require(made.last)))

            _ = try world.send("DELETE", "/v1/devices/b?wait=5s")
            let gone = try stream.events { $0.type == "DELETED" }
            #expect(gone.allSatisfy { $0.name == "b" })
            #expect(gone.last?.uid == first.first { $0.name == "b" }?.uid)
        }
    }

    @Test func aListAndAWatchFromItLoseNothing() async throws {
        try await withWorld { (world) throws in
            for name in ["stays", "changes", "goes", "comes-again"] { try world.state(name, queues: 1) }
            let list = try world.send("GET", "/v1/devices")
            let revision = try #require(list["metadata", "resourceVersion"] as? String)
            let old = try #require(try world.send("GET", "/v1/devices/comes-again")["metadata", "uid"] as? String)
            _ = try world.send("PATCH", "/v1/devices/changes?wait=5s", #"{"spec": {"link": {"mtu": 1400}}}"#)
            _ = try world.send("DELETE", "/v1/devices/goes?wait=5s")
            _ = try world.send("DELETE", "/v1/devices/comes-again?wait=5s")
            try world.state("comes-again", queues: 1)
            try world.state("new", queues: 1)
            // Created and deleted before the watch: no event is needed.
            try world.state("ghost", queues: 1)
            _ = try world.send("DELETE", "/v1/devices/ghost?wait=5s")

            let events = try world.watch("?resourceVersion=\(revision)").eventsUntilBookmark()
            let changes = events.filter { $0.name != "stays" }
            #expect(
                changes.map(\.summary) == [
                    "MODIFIED changes", "DELETED goes", "DELETED comes-again", "ADDED comes-again", "ADDED new",
                    "BOOKMARK",
                ])
            #expect(changes.first { $0.type == "DELETED" && $0.name == "comes-again" }?.uid == old)
            #expect(changes.first { $0.type == "ADDED" && $0.name == "comes-again" }?.uid != old)
        }
    }

    @Test func aDeviceEntersAndLeavesTheSelector() async throws {
        try await withWorld { (world) throws in
            func label(_ name: String, _ value: String) throws {
                let body = #"{"metadata": {"labels": {"vm": "\#(value)"}}}"#
                let answer = try world.send("PATCH", "/v1/devices/\(name)", body)
                guard answer.status == 200 else { throw TestFailure(answer.text) }
            }
            for name in ["a", "b"] { try world.state(name, queues: 1) }
            try label("a", "web")
            let stream = try world.watch("?labelSelector=vm%3Dweb")
            #expect(try stream.eventsUntilBookmark().map(\.summary) == ["ADDED a", "BOOKMARK"])
            try label("b", "web")
            #expect(try stream.events { $0.type == "ADDED" }.last?.name == "b")
            try label("a", "db")
            let left = try #require(try stream.events { $0.type == "DELETED" }.last)
            #expect(left.name == "a")
            #expect((left.metadata["labels"] as? [String: String])?["vm"] == "db")
            // Not selected: no event.
            _ = try world.send("DELETE", "/v1/devices/a?wait=5s")
            _ = try world.send("DELETE", "/v1/devices/b?wait=5s")
            #expect(try stream.events { $0.type == "DELETED" }.allSatisfy { $0.name == "b" })

            // A client that was disconnected when it left gets the event after the resume.
            try world.state("c", queues: 1)
            try label("c", "web")
            let revision = try #require(try world.send("GET", "/v1/devices")["metadata", "resourceVersion"] as? String)
            try label("c", "db")
            let resumed = try world.watch("?labelSelector=vm%3Dweb&resourceVersion=\(revision)")
            #expect(try resumed.eventsUntilBookmark().map(\.summary) == ["DELETED c", "BOOKMARK"])
        }
    }

    @Test func browsersResumeByTheLastEvent() async throws {
        try await withWorld { (world) throws in
            try world.state("a", queues: 1)
            let accept = ["Accept": "text/event-stream"]
            var stream = try world.watch(headers: accept)
            #expect(stream.headers["content-type"] == "text/event-stream")
            #expect(stream.headers["cache-control"] == "no-store")
            let first = try stream.eventsUntilBookmark()
            #expect(first.map(\.summary) == ["ADDED a", "BOOKMARK"])
            let identifier = try #require(first.last?.identifier)
            _ = try world.send("DELETE", "/v1/devices/a?wait=5s")
            try world.state("b", queues: 1)
            // A browser reconnects with its first URL and the header.
            stream = try world.watch(
                "?resourceVersion=0", headers: accept.merging(["Last-Event-ID": identifier]) { $1 })
            let second = try stream.eventsUntilBookmark()
            #expect(second.map(\.summary) == ["DELETED a", "ADDED b", "BOOKMARK"])
            // A client that resumes after the first of several removals gets it again.
            #expect(second.first?.identifier == "2")
            #expect(second.last?.identifier == second.last?.resourceVersion)
        }
    }

    @Test func anUnknownRevisionIsGone() async throws {
        try await withRestart { (world) throws in
            for name in ["a", "b", "c"] { try world.state(name, queues: 1) }
            let stream = try world.watch("?resourceVersion=4")
            #expect(stream.status == 410)
        } afterwards: { (world) throws in
            let old = try world.send("GET", "/v1/watch?resourceVersion=2")
            #expect(old.status == 410)
            #expect(old["code"] as? String == "RESOURCE_VERSION_GONE")
            #expect((old["detail"] as? String)?.contains("resourceVersion 2 is older than 3") == true, "\(old.text)")
            // The last revision: no spec has changed, but each status was read again.
            let events = try world.watch("?resourceVersion=3").eventsUntilBookmark()
            #expect(events.map(\.summary).sorted() == ["BOOKMARK", "MODIFIED a", "MODIFIED b", "MODIFIED c"])
        }
    }

    @Test(arguments: [
        ("?resourceVersion=x", [:], 400, "INVALID_PARAMETER"), ("?resourceVersion=-0", [:], 400, "INVALID_PARAMETER"),
        ("?resourceVersion=", [:], 400, "INVALID_PARAMETER"),
        ("", ["Last-Event-ID": "x"], 400, "INVALID_PARAMETER"),
        ("?labelSelector=%3D", [:], 400, "INVALID_PARAMETER"), ("?timeout=1s", [:], 400, "INVALID_PARAMETER"),
        ("", ["Accept": "text/html"], 406, "NOT_ACCEPTABLE"),
        ("?resourceVersion=1", [:], 410, "RESOURCE_VERSION_GONE"),
    ])
    func invalidWatchRequestsAreRefused(query: String, headers: [String: String], status: Int, code: String)
        async throws
    {
        try await withWorld { (world) throws in
            let answer = try world.send("GET", "/v1/watch\(query)", headers: headers)
            #expect(answer.status == status)
            #expect(answer["code"] as? String == code)
            #expect(answer.headers["content-type"] == "application/problem+json")
        }
    }

    @Test func headReturnsTheHeadersOnly() async throws {
        try await withWorld { (world) throws in
            let answer = try world.send("HEAD", "/v1/watch", headers: ["Accept": "text/event-stream"])
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/event-stream")
            #expect(try world.metric("tapster_watchers") == 0)
        }
    }

    @Test func anHTTP10ClientReadsUntilTheEnd() async throws {
        try await withWorld { (world) throws in
            let stream = try WatchStream(socket: world.socket, version: "1.0")
            #expect(stream.headers["transfer-encoding"] == nil)
            #expect(try stream.eventsUntilBookmark().count == 1)
            try world.state("a", queues: 1)
            #expect(try stream.next()?.summary == "ADDED a")
        }
    }

    @Test func aPlaceIsFreeOnceItsClientIsGone() async throws {
        try await withWorld { (world) throws in
            var streams = try (0..<Watchers.watchersPerOwnerMax).map { _ in try world.watch() }
            for stream in streams { _ = try stream.eventsUntilBookmark() }
            #expect(try world.metric("tapster_watchers") == Double(Watchers.watchersPerOwnerMax))
            let refused = try world.send("GET", "/v1/watch")
            #expect(refused.status == 503)
            #expect(refused["code"] as? String == "TOO_MANY_WATCHERS")
            #expect(
                (refused["detail"] as? String)?.hasPrefix("uid:0 has \(Watchers.watchersPerOwnerMax) watches") == true)
            #expect(refused.headers["retry-after"] == "1")
            // The other streams continue.
            try world.state("a", queues: 1)
            for stream in streams { #expect(try stream.events { $0.type == "ADDED" }.last?.name == "a") }
            streams.removeLast()
            var stream: WatchStream?
            try eventually("a place is free") {
                stream = try world.watch()
                return stream?.status == 200
            }
            streams = []
            stream = nil
            try eventually("all are gone") {
                try world.state("b", queues: 1)
                _ = try world.send("DELETE", "/v1/devices/b?wait=5s")
                return try world.metric("tapster_watchers") == 0
            }
            #expect(try world.metric("tapster_watch_dropped_total") == 0)
        }
    }

    /// A client that does not read does not delay others, and its watch is ended.
    @Test func aClientThatDoesNotReadIsDropped() async throws {
        var limits = HTTPLimits()
        limits.streamStallSecondsMax = 2
        try await withWorld(limits: limits) { (world) throws in
            let sleeper = try world.watch()
            let reader = try world.watch()
            _ = try reader.eventsUntilBookmark()
            // More than the buffers of the socket and the library hold.
            let names = (0..<500).map { "d\($0)" }
            let devices = names.map { #"{"metadata": {"name": "\#($0)"}, "spec": {}}"# }.joined(separator: ",")
            #expect(try world.send("POST", "/v1/apply?wait=60s", #"{"devices": [\#(devices)]}"#).status == 200)
            var isReady: Set<String> = []
            _ = try reader.events { event in
                if event.isReady { isReady.insert(event.name) }
                return isReady.count == names.count
            }
            try eventually("the watch of the sleeper is ended", within: 30) {
                try world.metric("tapster_watch_dropped_total", "stalled") == 1
            }
            #expect(try world.metric("tapster_watchers") == 1)
            #expect(throws: TestFailure.self) { try sleeper.events { _ in false } }
            #expect(!sleeper.isComplete)
            // An idle watch is not ended.
            try world.state("late", queues: 1)
            #expect(try reader.events { $0.name == "late" }.last?.type == "ADDED")
        }
    }

    @Test func aStopEndsEachStreamWithABookmark() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let world = try World(directory)
                let streams = try (0..<Watchers.watchersPerOwnerMax).map { _ in try world.watch() }
                for stream in streams { _ = try stream.eventsUntilBookmark() }
                world.stop()
                for stream in streams {
                    #expect(try stream.next()?.summary == "BOOKMARK")
                    #expect(try stream.next() == nil)
                    #expect(stream.isComplete)
                }
            }
        }
    }
}

extension World {
    func watch(_ query: String = "", headers: [String: String] = [:]) throws -> WatchStream {
        try WatchStream(socket: socket, "/v1/watch\(query)", headers: headers)
    }

    /// Whether a GET shows the same document.
    func isCurrent(_ event: StreamedEvent) throws -> Bool {
        let device = try send("GET", "/v1/devices/\(event.name)").json as? NSDictionary
        return device == event.object as NSDictionary
    }
}

extension StreamedEvent {
    var isReady: Bool { (object["status"] as? [String: Any])?["phase"] as? String == "Ready" }
}
