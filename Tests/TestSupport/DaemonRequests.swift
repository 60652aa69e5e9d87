import Foundation
import Glibc

/// Runs `body` with a daemon of its own in a network namespace of its own.
public func withDaemon(
    options: [String] = [], _ body: @escaping @Sendable (Daemon) throws -> Void
) async throws {
    try await inNamespace {
        try withTemporaryDirectory { directory in
            let daemon = try Daemon(directory: directory, options: options)
            defer { daemon.kill() }
            do {
                try body(daemon)
            } catch {
                throw TestFailure("\(error)\n\(daemon.log)")
            }
        }
    }
}

/// An entry of `GET /v1/events`.
public struct Event {
    /// The event's reason.
    public let reason: String
    /// The changed field; `nil` if none.
    public let field: String?
    /// As JSON text.
    public let wanted: String
    /// As JSON text.
    public let observed: String
}

/// Requests about devices.
extension Daemon {
    /// Creates a device and waits until it is Ready.
    @discardableResult
    public func create(_ name: String, spec: String = "{}", wait: String = "10s") throws -> Answer {
        try send(
            "POST", "/v1/devices?wait=\(wait)", json: #"{"metadata": {"name": "\#(name)"}, "spec": \#(spec)}"#)
    }

    /// Changes a device and waits until it is Ready.
    @discardableResult
    public func patch(_ name: String, spec: String, wait: String = "10s", recreate: Bool = false) throws -> Answer {
        try send(
            "PATCH", "/v1/devices/\(name)?wait=\(wait)\(recreate ? "&recreate=true" : "")",
            json: #"{"spec": \#(spec)}"#)
    }

    /// Deletes a device and waits until it is gone.
    @discardableResult
    public func delete(_ name: String) throws -> Answer { try send("DELETE", "/v1/devices/\(name)?wait=10s") }

    /// Renames an interface outside Tapster. Kernels before 6.2 do not rename an interface that is up: there it is
    /// taken down for a moment, which the daemon does not notice.
    public func renameInterface(_ name: String, to other: String) throws {
        guard (try? run("ip", "link", "set", name, "name", other)) == nil else { return }
        process?.pause()
        defer { process?.signal(SIGCONT) }
        try run("ip", "link", "set", name, "down")
        try run("ip", "link", "set", name, "name", other)
        try run("ip", "link", "set", other, "up")
    }

    /// The device's `status.phase`.
    public func phase(_ name: String) throws -> String? {
        try send("GET", "/v1/devices/\(name)")["status", "phase"] as? String
    }

    /// A condition of the device: whether it is true, its reason and its message.
    public func condition(_ kind: String, of name: String) throws -> (holds: Bool, reason: String, message: String)? {
        let conditions = try send("GET", "/v1/devices/\(name)")["status", "conditions"] as? [[String: Any]]
        return conditions?.first { $0["type"] as? String == kind }.map { condition in
            (
                holds: condition["status"] as? String == "True", reason: condition["reason"] as? String ?? "",
                message: condition["message"] as? String ?? ""
            )
        }
    }

    /// Waits until the device is not Ready for this reason.
    public func waitForReason(_ reason: String, of name: String) throws {
        var last = ""
        do {
            try eventually(reason) {
                let ready = try condition("Ready", of: name)
                last = "\(ready.map { "\($0)" } ?? "no condition")"
                return ready?.holds == false && ready?.reason == reason
            }
        } catch {
            throw TestFailure("\(error), but \(last)")
        }
    }

    /// Waits until the device is Ready.
    public func waitUntilReady(_ name: String) throws {
        do { try eventually("\(name) is ready") { try phase(name) == "Ready" } } catch {
            throw TestFailure("\(error), but \(try send("GET", "/v1/devices/\(name)").text)")
        }
    }

    /// The fields in `status.drift`.
    public func drift(of name: String) throws -> [String] {
        let drift = try send("GET", "/v1/devices/\(name)")["status", "drift"] as? [[String: Any]]
        return (drift ?? []).compactMap { $0["field"] as? String }
    }

    /// All events of the device, oldest first.
    public func events(of name: String) throws -> [Event] {
        let items = try send("GET", "/v1/events?device=\(name)&limit=1000")["items"] as? [[String: Any]]
        func text(_ value: Any?) throws -> String {
            let options: JSONSerialization.WritingOptions = [.fragmentsAllowed, .withoutEscapingSlashes]
            return String(
                decoding: try JSONSerialization.data(withJSONObject: value ?? NSNull(), options: options),
                as: UTF8.self)
        }
        return try (items ?? []).map { item in
            Event(
                reason: item["reason"] as? String ?? "", field: item["field"] as? String,
                wanted: try text(item["wanted"]), observed: try text(item["observed"]))
        }
    }

    /// Waits until the device's history has an event of this reason. An event that is not written yet is lost when the
    /// daemon is killed.
    public func waitForHistory(_ reason: String, of name: String) throws {
        try eventually("\(reason) is in the history") { try events(of: name).contains { $0.reason == reason } }
    }

    /// The present metrics; waits, because scrapes in quick succession share an answer.
    public func metrics() throws -> String {
        usleep(300_000)
        return try send("GET", "/metrics").text
    }

    /// A metric's value as text.
    public func metric(_ name: String) throws -> String? {
        try metrics().split(separator: "\n").first { $0.hasPrefix(name + " ") }
            .map { String($0.dropFirst(name.count + 1)) }
    }
}
