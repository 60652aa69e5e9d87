import Foundation

/// A queue as the API shows it.
public struct QueueState: Equatable, CustomStringConvertible {
    public let isEnabled: Bool
    public let isAttached: Bool
    public let kernelIndex: Int?
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

    public var description: String {
        "\(isEnabled ? "" : "disabled ")\(isAttached ? "attached" : "detached")"
            + " at \(kernelIndex.map(String.init) ?? "-")"
            + (lease == nil ? " free" : "")
    }
}

/// Queues and leases, as tests ask for them.
extension Daemon {
    /// By index.
    public func queues(of name: String) throws -> [QueueState] {
        let items = try send("GET", "/v1/devices/\(name)/queues")["items"] as? [[String: Any]]
        return (items ?? []).map(QueueState.init)
    }

    /// The queues in the order in which the kernel shall have them; nothing where it is not told.
    public func order(of name: String) throws -> [Int] {
        try queues(of: name).enumerated().filter { $1.kernelIndex != nil }
            .sorted { $0.1.kernelIndex ?? 0 < $1.1.kernelIndex ?? 0 }.map(\.0)
    }

    /// Disables or enables one, or says again what it is.
    @discardableResult
    public func set(_ queue: Int, of name: String, enabled: Bool) throws -> Answer {
        try send("PATCH", "/v1/devices/\(name)/queues/\(queue)", json: #"{"enabled": \#(enabled)}"#)
    }

    /// Waits until the daemon has done all about leases that was asked of it before: a holder has his queues a little
    /// earlier than the note that another process finds.
    public func waitForNotes() throws { _ = try send("DELETE", "/v1/leases/0000000000000000") }

    /// The names of the leases that there are.
    public func leases() throws -> Set<String> {
        let items = try send("GET", "/v1/leases")["items"] as? [[String: Any]]
        return Set((items ?? []).compactMap { $0["id"] as? String })
    }

    /// Waits until the device's queues look like this.
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

    /// Waits until it is the only thing that is leased, or that nothing is.
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
    /// How many queues the kernel steers to, and how many are detached; of multiqueue devices.
    public var attachedQueues: Int? { tun("numqueues").flatMap { Int($0) } }
    public var detachedQueues: Int? { tun("numdisabled").flatMap { Int($0) } }
}
