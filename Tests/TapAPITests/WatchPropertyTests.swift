import Foundation
import Synchronization
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// After any changes and any reconnections, a client knows what a list shows.
@Suite struct WatchPropertyTests {
    private static let names = (0..<6).map { "d\($0)" }

    @Test(arguments: [1, 2, 3]) func clientsEndWithTheCurrentState(seed: UInt64) async throws {
        try await withWorld { (world) throws in
            let clients = [
                Client(world, selector: nil, isBrowser: false), Client(world, selector: nil, isBrowser: true),
                Client(world, selector: "vm=a", isBrowser: false), Client(world, selector: "vm!=a", isBrowser: true),
                Client(world, selector: "vm", isBrowser: false),
            ]
            let readers = clients.enumerated().map { place, client in
                Worker { try client.follow(SeededGenerator(seed: seed << 8 + UInt64(place))) }
            }
            let writers = (0..<3).map { place in
                Worker { try Self.write(world, SeededGenerator(seed: seed << 16 + UInt64(place))) }
            }
            for writer in writers { try writer.wait() }
            try eventually("all is quiet", within: 60) {
                let items = try world.send("GET", "/v1/devices")["items"] as? [[String: Any]] ?? []
                return items.allSatisfy { StreamedEvent.phase($0) == "Ready" }
            }
            // The last changes: one device for each selector.
            for (name, labels) in [("end-a", #"{"vm": "a"}"#), ("end-b", #"{"vm": "b"}"#)] {
                let body = #"{"metadata": {"labels": \#(labels)}}"#
                #expect(try world.send("PUT", "/v1/devices/\(name)?wait=30s", body).status == 201)
            }
            for reader in readers { try reader.wait() }
            for client in clients { try client.check() }
        }
    }

    private static func write(_ world: World, _ generator: SeededGenerator) throws {
        var generator = generator
        for _ in 0..<60 {
            let path = "/v1/devices/" + (names.randomElement(using: &generator) ?? "")
            let labels = ["{}", #"{"vm": "a"}"#, #"{"vm": "b"}"#].randomElement(using: &generator) ?? ""
            let mtu = [1_400, 1_500].randomElement(using: &generator) ?? 0
            let body = #"{"metadata": {"labels": \#(labels)}, "spec": {"link": {"mtu": \#(mtu)}}}"#
            let wait = Bool.random(using: &generator) ? "?wait=5s" : ""
            let answer =
                switch UInt.random(in: 0..<8, using: &generator) {
                case 0...2: try world.send("PUT", path + wait, body)
                case 3...5: try world.send("PATCH", path + wait, body)
                default: try world.send("DELETE", path + wait)
                }
            guard [200, 201, 202, 404, 409].contains(answer.status) else { throw TestFailure(answer.text) }
        }
    }

    /// Follows the watch protocol of the contract.
    private final class Client: Sendable {
        private let world: World
        private let selector: String?
        private let isBrowser: Bool
        private let known = Mutex<[String: StreamedEvent]>([:])

        init(_ world: World, selector: String?, isBrowser: Bool) {
            self.world = world
            self.selector = selector
            self.isBrowser = isBrowser
        }

        /// Reads until the last device is known and Ready.
        func follow(_ generator: SeededGenerator) throws {
            var generator = generator
            var resume: String?
            let last = selector == "vm=a" ? "end-a" : "end-b"
            while known.withLock({ $0[last]?.isReady != true }) {
                var query: [String] = []
                if let selector { query.append("labelSelector=" + selector.replacingOccurrences(of: "=", with: "%3D")) }
                if let resume { query.append("resourceVersion=\(resume)") }
                let stream = try world.watch(
                    query.isEmpty ? "" : "?" + query.joined(separator: "&"),
                    headers: isBrowser ? ["Accept": "text/event-stream"] : [:])
                guard stream.status == 200 else {
                    throw TestFailure("a watch from \(resume ?? "") is \(stream.status)")
                }
                for _ in 0..<Int.random(in: 1...25, using: &generator) {
                    guard let event = try stream.next() else { throw TestFailure("the stream has ended") }
                    take(event)
                    resume = isBrowser ? event.identifier : event.resourceVersion
                    if event.name == last, event.isReady { break }
                }
            }
        }

        private func take(_ event: StreamedEvent) {
            known.withLock { known in
                switch event.type {
                case "ADDED", "MODIFIED": known[event.name] = event
                case "DELETED": if known[event.name]?.uid == event.uid { known[event.name] = nil }
                default: break
                }
            }
        }

        func check() throws {
            let query = selector.map { "?labelSelector=" + $0.replacingOccurrences(of: "=", with: "%3D") } ?? ""
            let items = try world.send("GET", "/v1/devices\(query)")["items"] as? [[String: Any]] ?? []
            let known = known.withLock { $0 }
            // A client stops at its last device; the events of the one before may arrive later.
            let wanted = items.filter {
                let name = ($0["metadata"] as? [String: Any])?["name"] as? String
                return name?.hasPrefix("end-") == false
            }
            let found = known.values.filter { !$0.name.hasPrefix("end-") }.sorted { $0.name < $1.name }
            #expect(
                found.map { $0.object as NSDictionary } == wanted.map { $0 as NSDictionary },
                "\(selector ?? "all"), browser: \(isBrowser)")
        }
    }

    /// A thread with a result.
    private final class Worker: Sendable {
        private let done = DispatchSemaphore(value: 0)
        private let failure = Mutex<(any Error)?>(nil)

        init(_ body: @escaping @Sendable () throws -> Void) {
            let thread = Thread { [self] in
                do { try body() } catch { failure.withLock { $0 = error } }
                done.signal()
            }
            thread.start()
        }

        func wait() throws {
            guard done.wait(timeout: .now() + 120) == .success else { throw TestFailure("it did not come to its end") }
            if let failure = failure.withLock({ $0 }) { throw failure }
        }
    }
}

extension StreamedEvent {
    static func phase(_ device: [String: Any]) -> String? {
        (device["status"] as? [String: Any])?["phase"] as? String
    }
}
