import Foundation
import Logging
import Synchronization
import TapCore
import TapHTTP
import TapStore
import TestSupport

@testable import TapAPI
@testable import TapEngine

/// The whole service with real HTTP and real SQLite, and a kernel in memory, since the real one needs root.
final class World: Sendable {
    let kernel: ModelKernel
    let directory: String
    let socket: String
    private let store: Store
    let service: Service
    private let server: HTTPServer

    init(
        _ directory: String, kernel: ModelKernel = ModelKernel(), access: AccessPolicy = AccessPolicy(),
        limits: HTTPLimits = HTTPLimits()
    ) throws {
        self.kernel = kernel
        self.directory = directory
        socket = directory + "/s"
        store = try Store(path: directory + "/t.db")
        let ready = DispatchSemaphore(value: 0)
        service = try Service(
            kernel: kernel, store: store, accounts: OnlyRoot(), access: access,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { ready.signal() }
        server = HTTPServer(listener: try HTTPListener(unix: socket, group: nil), limits: limits, handler: service.api)
        try server.start()
        try service.start()
        ready.wait()
    }

    func stop() {
        service.finishWrites()
        server.stop()
        service.stop()
    }

    func send(_ method: String, _ target: String, _ json: String? = nil, headers: [String: String] = [:]) throws
        -> Answer
    {
        var headers = headers
        if json != nil, headers["Content-Type"] == nil { headers["Content-Type"] = "application/json" }
        return try HTTPClient(socket: socket).send(method, target, headers: headers, body: json)
    }

    /// Creates or changes a device with this number of queues, and waits until it is Ready.
    @discardableResult
    func state(_ name: String, queues: Int) throws -> Answer {
        let answer = try send("PUT", "/v1/devices/\(name)?wait=5s", #"{"spec": {"queues": \#(queues)}}"#)
        guard answer.status == 200 || answer.status == 201 else { throw TestFailure(answer.text) }
        return answer
    }

    /// The sum of the samples of a metric whose labels contain the text.
    func metric(_ name: String, _ labels: String = "") throws -> Double {
        // Scrapes in quick succession share one text.
        usleep(300_000)
        return try send("GET", "/metrics").text.split(separator: "\n")
            .filter { $0.hasPrefix(name) && (labels.isEmpty || $0.contains(labels)) }
            .compactMap { Double($0.split(separator: " ").last ?? "") }.reduce(0, +)
    }
}

func withWorld(
    limits: HTTPLimits = HTTPLimits(), _ body: @escaping @Sendable (World) throws -> Void
) async throws {
    try await onThread {
        try withTemporaryDirectory { directory in
            let world = try World(directory, limits: limits)
            defer { world.stop() }
            try body(world)
        }
    }
}

/// Runs two worlds, one after the other, with the same database and kernel.
func withRestart(
    _ body: @escaping @Sendable (World) throws -> Void, afterwards: @escaping @Sendable (World) throws -> Void
) async throws {
    try await onThread {
        try withTemporaryDirectory { directory in
            let kernel = ModelKernel()
            do {
                let world = try World(directory, kernel: kernel)
                defer { world.stop() }
                try body(world)
            }
            var restarted: World?
            // The ending thread closes the database a moment later.
            try eventually("the database is free") {
                restarted = try? World(directory, kernel: kernel)
                return restarted != nil
            }
            guard let world = restarted else { return }
            defer { world.stop() }
            try afterwards(world)
        }
    }
}

extension Answer {
    /// The pointers of a problem's errors.
    var pointers: [String] {
        (self["errors"] as? [[String: Any]] ?? []).compactMap { $0["pointer"] as? String }
    }
}
