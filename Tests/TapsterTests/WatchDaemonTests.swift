import Foundation
import TestSupport
import Testing

/// Watch streams while the daemon runs, is killed and stops.
@Suite(.privileged) struct WatchDaemonTests {
    @Test func aWatchGoesOnAfterAKill() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("a")
            try daemon.create("b")
            let stream = try WatchStream(socket: daemon.socket)
            let before = try stream.eventsUntilBookmark()
            let bookmark = try #require(before.last?.resourceVersion)
            daemon.kill()
            #expect(try stream.next() == nil)
            #expect(!stream.isComplete)
            try daemon.start()

            let resumed = try WatchStream(socket: daemon.socket, "/v1/watch?resourceVersion=\(bookmark)")
            #expect(resumed.status == 200)
            let after = try resumed.eventsUntilBookmark()
            #expect(Set(after.map(\.summary)) == ["MODIFIED a", "MODIFIED b", "BOOKMARK"])
            #expect(Set(after.map(\.uid)) == Set(before.map(\.uid)))
            try daemon.delete("a")
            #expect(try resumed.events { $0.type == "DELETED" }.last?.name == "a")
            // Deletions before the kill are no longer known.
            #expect(try WatchStream(socket: daemon.socket, "/v1/watch?resourceVersion=1").status == 410)
        }
    }

    /// Changes in the kernel are reported too, without a write.
    @Test func driftIsReported() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("a", spec: #"{"driftPolicy": "report"}"#)
            let stream = try WatchStream(socket: daemon.socket, headers: ["Accept": "text/event-stream"])
            _ = try stream.eventsUntilBookmark()
            try run("ip", "link", "set", "dev", "a", "mtu", "1400")
            let received = try stream.events { event in
                let status = event.object["status"] as? [String: Any]
                return (status?["drift"] as? [[String: Any]])?.first?["field"] as? String == "link.mtu"
            }
            #expect(received.last?.summary == "MODIFIED a")
        }
    }

    /// No watch delays the stop, not even one whose client does not read.
    @Test func aStopEndsAllWatches() async throws {
        try await withDaemon { (daemon) throws in
            let names = (0..<300).map { #"{"metadata": {"name": "d\#($0)"}, "spec": {"link": {"up": false}}}"# }
            let document = #"{"devices": [\#(names.joined(separator: ","))]}"#
            #expect(try daemon.send("POST", "/v1/apply?wait=60s", json: document).status == 200)
            let sleeper = try WatchStream(socket: daemon.socket)
            let streams = try (0..<55).map { _ in try WatchStream(socket: daemon.socket) }
            for stream in streams { _ = try stream.eventsUntilBookmark() }
            let began = ContinuousClock.now
            #expect(daemon.stop() == 0)
            // The limit is two seconds; a machine that is busy with other tests is slower.
            #expect(began.duration(to: .now) < .seconds(6))
            for stream in streams {
                _ = try stream.events { $0.type == "BOOKMARK" }
                #expect(try stream.next() == nil)
                #expect(stream.isComplete)
            }
            _ = sleeper
        }
    }
}
