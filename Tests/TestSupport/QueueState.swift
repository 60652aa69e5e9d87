import Foundation

/// A queue as the API shows it.
public struct QueueState: Equatable, CustomStringConvertible {
    /// Whether it is enabled.
    public let isEnabled: Bool
    /// Whether it is attached.
    public let isAttached: Bool
    /// Its index in the kernel; `nil` while it is detached.
    public let kernelIndex: Int?
    /// The identifier of its lease; `nil` if it is not leased.
    public let lease: String?

    public init(enabled isEnabled: Bool = true, at kernelIndex: Int?, attached: Bool? = nil, lease: String?) {
        self.isEnabled = isEnabled
        isAttached = attached ?? (kernelIndex != nil)
        self.kernelIndex = kernelIndex
        self.lease = lease
    }

    init(_ json: [String: Any]) {
        isEnabled = json["enabled"] as? Bool ?? false
        isAttached = json["attached"] as? Bool ?? false
        kernelIndex = json["kernelIndex"] as? Int
        lease = json["lease"] as? String
    }

    /// For failure messages.
    public var description: String {
        "\(isEnabled ? "" : "disabled ")\(isAttached ? "attached" : "detached")"
            + " at \(kernelIndex.map(String.init) ?? "-")"
            + (lease == nil ? " free" : "")
    }
}

/// Queries about queues and leases.
extension Daemon {
    /// The queues, sorted by index.
    public func queues(of name: String) throws -> [QueueState] {
        let items = try send("GET", "/v1/devices/\(name)/queues")["items"] as? [[String: Any]]
        return (items ?? []).map(QueueState.init)
    }

    /// The queues in the order that the API reports for the kernel; those without a `kernelIndex` are missing.
    public func order(of name: String) throws -> [Int] {
        try queues(of: name).enumerated().filter { $1.kernelIndex != nil }
            .sorted { $0.1.kernelIndex ?? 0 < $1.1.kernelIndex ?? 0 }.map(\.0)
    }

    /// Enables or disables a queue, or repeats its present setting; one that is leased only with `force`.
    @discardableResult
    public func set(_ queue: Int, of name: String, enabled: Bool, force: Bool = false) throws -> Answer {
        try send(
            "PATCH", "/v1/devices/\(name)/queues/\(queue)\(force ? "?force=true" : "")",
            json: #"{"enabled": \#(enabled)}"#)
    }

    /// Waits until the daemon has processed all earlier lease requests: a holder has its queues a little before the
    /// lease is recorded where other requests find it.
    public func waitForNotes() throws { _ = try send("DELETE", "/v1/leases/0000000000000000") }

    /// The identifiers of all leases.
    public func leases() throws -> Set<String> {
        let items = try send("GET", "/v1/leases")["items"] as? [[String: Any]]
        return Set((items ?? []).compactMap { $0["id"] as? String })
    }

    /// Waits until the device's queues have these states.
    public func waitForQueues(_ expected: [QueueState], of name: String, within seconds: Double = 10) throws {
        var last: [QueueState] = []
        do {
            try eventually("queues", within: seconds) {
                last = try queues(of: name)
                return last == expected
            }
        } catch {
            throw TestFailure("\(error): \(expected) were expected, but there are \(last)")
        }
    }

    /// Waits until exactly these leases exist.
    public func waitForLeases(_ expected: Set<String>) throws {
        var last: Set<String> = []
        do {
            try eventually("leases") {
                last = try leases()
                return last == expected
            }
        } catch {
            throw TestFailure("\(error): \(expected) were expected, but there are \(last)")
        }
    }
}

extension Interface {
    /// The number of queues that the kernel steers packets to; `nil` unless multiqueue.
    public var attachedQueues: Int? { tun("numqueues").flatMap { Int($0) } }
    /// The number of detached queues; `nil` unless multiqueue.
    public var detachedQueues: Int? { tun("numdisabled").flatMap { Int($0) } }
}
