import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// The daemon is killed while several clients write at once: before a transaction, between the writes that share it,
/// and after its commit. No acknowledged write is missing, and of each client at most the write in progress is stored
/// additionally.
@Suite(.privileged) struct GroupCrashTests {
    private static let clients = 6

    @Test(arguments: ["write", "grouped", "written"], [1, 7, 30])
    func whatWasAcknowledgedStays(point: String, count: Int) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = try Daemon(directory: directory)
                defer { daemon.kill() }
                for place in 0..<Self.clients {
                    let answer = try daemon.send("PUT", "/v1/devices/c\(place)?wait=10s", json: Self.body(0))
                    guard answer.status == 201 else { throw TestFailure(answer.text) }
                }
                daemon.kill()
                try daemon.start(environment: ["TAPSTER_CRASH_AT": "\(point):\(count)"])
                let acknowledged = Mutex(Array(repeating: 0, count: Self.clients))
                let socket = daemon.socket
                DispatchQueue.concurrentPerform(iterations: Self.clients) { place in
                    guard let client = try? HTTPClient(socket: socket) else { return }
                    // Until the daemon ends.
                    for number in 1...1_000 {
                        let answer = try? client.send("PUT", "/v1/devices/c\(place)", json: Self.body(number))
                        guard answer?.status == 200 else { return }
                        acknowledged.withLock { $0[place] = number }
                    }
                }
                #expect(daemon.process?.wait() != 0)
                try daemon.start()
                for (place, number) in acknowledged.withLock({ $0 }).enumerated() {
                    let metadata = try daemon.send("GET", "/v1/devices/c\(place)")["metadata"] as? [String: Any]
                    let text = (metadata?["labels"] as? [String: String])?["n"] ?? ""
                    let found = try #require(Int(text))
                    #expect([number, number + 1].contains(found), "c\(place)")
                }
            }
        }
    }

    private static func body(_ number: Int) -> String { #"{"metadata": {"labels": {"n": "\#(number)"}}}"# }
}
