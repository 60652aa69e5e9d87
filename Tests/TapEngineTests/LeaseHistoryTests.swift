import TapCore
import TapDocument
import TapStore
import Testing

@testable import TapEngine

/// A client that leases and leaves in a loop does not displace the history.
@Suite struct LeaseHistoryTests {
    private static func lease(of device: String, by user: UInt32) throws -> LeaseView {
        LeaseView(
            LeaseRecord(
                id: .random(), device: try DeviceName(device), identifier: "u",
                place: LeasePlace(namespace: 1, index: LinkIndex(rawValue: 7)), consumer: nil, process: 17, user: user,
                group: 0, userName: "alice", command: "qemu", since: .now()), reserving: [0, 1, 3])
    }

    @Test func eventsBeyondTheLimitAreCounted() throws {
        var history = LeaseHistory()
        let start = ContinuousClock.now
        let lease = try Self.lease(of: "web0", by: 1_000)
        for count in 0..<1_000 {
            history.noteGrant(lease, at: start + .milliseconds(count))
            history.noteEnd(lease, count.isMultiple(of: 2) ? .closed : .unclaimed, at: start + .milliseconds(count))
        }
        // Others are not affected: neither another user of the device nor another device.
        history.noteGrant(try Self.lease(of: "web0", by: 0), at: start + .seconds(2))
        history.noteGrant(try Self.lease(of: "web1", by: 1_000), at: start + .seconds(2))
        let events = history.drain(at: start + .seconds(3))
        #expect(events.count == 22)
        #expect(events.prefix(20).map(\.reason) == (0..<10).flatMap { _ in ["LeaseGranted", "LeaseEnded"] })
        #expect(events[0].message == "queues 0-1, 3 leased by pid 17 (qemu) of user 1000 (alice)")
        #expect(events[1].lease?.cause == "closed" && events[3].lease?.cause == "unclaimed")
        #expect(events[20...].map(\.reason) == ["LeaseGranted", "LeaseGranted"])

        #expect(history.drain(at: start + .seconds(59)).isEmpty)
        let due = try #require(history.due)
        #expect(due > start + .seconds(59) && due <= start + .seconds(61))
        let summary = history.drain(at: due)
        #expect(summary.map(\.reason) == ["LeaseEventsOmitted"])
        #expect(
            summary.first?.message.contains("990 more leases were granted and 990 ended (495 closed, 495 unclaimed)")
                == true)
        // The next minute begins anew.
        #expect(history.due == nil)
        history.noteGrant(lease, at: due)
        #expect(history.drain(at: due).map(\.reason) == ["LeaseGranted"])
    }

    @Test func aSummaryIsNotLostWhenTheNextMinuteBegins() throws {
        var history = LeaseHistory()
        let start = ContinuousClock.now
        let lease = try Self.lease(of: "web0", by: 1_000)
        for _ in 0..<25 { history.noteGrant(lease, at: start) }
        history.noteGrant(lease, at: start + .seconds(100))
        #expect(
            history.drain(at: start + .seconds(100)).map(\.reason).suffix(2) == ["LeaseEventsOmitted", "LeaseGranted"])
    }

    @Test func onlyEndsThatNeitherSideAskedForAreWarnings() throws {
        let lease = try Self.lease(of: "web0", by: 0)
        for cause in LeaseEnd.allCases {
            var history = LeaseHistory()
            history.noteEnd(lease, cause, at: .now)
            let event = try #require(history.drain(at: .now).first)
            let isWarning = [.failed, .lost, .stopped, .unrestored].contains(cause)
            #expect(event.severity.known == (isWarning ? .warning : .normal), "\(cause)")
        }
    }
}
