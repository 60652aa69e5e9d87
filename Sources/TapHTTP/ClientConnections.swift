internal import Foundation
internal import Synchronization
internal import TapSystem

/// All connections of a server. When there is no place for a new one, one that waits for its client makes way: clients
/// that connect and are silent must not exclude others. A thread, which sleeps while there are no connections, cuts off
/// those that are overdue.
final class ClientConnections: @unchecked Sendable {
    /// The connections of one owner.
    private struct Count {
        var all = 0
        var unauthenticated = 0
    }

    // Unchecked: all variables are accessed only with `condition` locked.
    private let condition = NSCondition()
    private var open: [ObjectIdentifier: ClientConnection] = [:]
    /// Those that made way. Until the library closes them, they may still have a request in progress.
    private var displaced: [ObjectIdentifier: ClientConnection] = [:]
    /// Whether the thread sleeps until there is a connection. Otherwise it checks the deadlines every second, and a new
    /// connection wakes it only while half of the connections are in use.
    private var isIdle = false
    private var isStopping = false
    private var overdue = 0
    private var counts: [ConnectionOwner: Count] = [:]
    private var unauthenticated = 0
    private let limits: HTTPLimits
    private let onCutOff: @Sendable (HTTPCutOff) -> Void
    /// From this number of connections on, the shorter deadlines apply.
    private var crowdedFrom: Int { limits.connectionsMax / 2 }
    /// How many are cut off at once. If 128 connections become ready together, the library waits for one more event
    /// before it serves any (`MHD_epoll()`); while all connections are in use, that event may never come.
    private static let burstMax = 32
    private static let burstSeconds = 0.005

    /// - Parameters:
    ///   - limits: The limits of connections, in total and of one client.
    ///   - onCutOff: Called on the deadline thread, and on that of a connection for which another made way.
    init(limits: HTTPLimits, onCutOff: @escaping @Sendable (HTTPCutOff) -> Void) {
        self.limits = limits
        self.onCutOff = onCutOff
    }

    /// Starts the thread that enforces the deadlines.
    func start() throws(ThreadFailure) {
        try NamedThread.start("tapster-slow") { [self] in watch() }
    }

    /// Adds a connection. If there are too many, in total, of its owner, or of clients that have not authenticated,
    /// another one makes way.
    ///
    /// - Returns: False if none can.
    func insert(_ connection: ClientConnection) -> Bool {
        condition.withLock {
            guard makeRoom(for: connection) else { return false }
            open[ObjectIdentifier(connection)] = connection
            counts[connection.owner, default: Count()].all += 1
            if !connection.isAuthenticated { count(unauthenticated: 1, of: connection.owner) }
            if isIdle || open.count >= crowdedFrom { condition.signal() }
            isIdle = false
            return true
        }
    }

    private func makeRoom(for connection: ClientConnection) -> Bool {
        let owner = connection.owner
        if owner != .privileged, counts[owner, default: Count()].all >= limits.connectionsOfOneMax {
            guard cutOffSilent(where: { $0.owner == owner }) else { return false }
        }
        if !connection.isAuthenticated, unauthenticated >= limits.unauthenticatedConnectionsMax {
            guard cutOffSilent(where: { !$0.isAuthenticated }) else { return false }
        }
        guard open.count >= limits.connectionsMax, !cutOffSilent(where: { _ in true }) else { return true }
        return owner == .privileged && open.count < limits.connectionsMax + limits.reservedConnectionsMax
    }

    /// Cuts one connection off: rather one that has not authenticated than one that has, rather one of the owner with
    /// the most of these than one of another, and rather the one that has been silent longest.
    ///
    /// - Returns: False if none may be cut off.
    private func cutOffSilent(where isEligible: (ClientConnection) -> Bool) -> Bool {
        var found: (connection: ClientConnection, rank: (Int, Int64))?
        for connection in open.values where isEligible(connection) {
            guard let since = connection.silentSince else { continue }
            let crowd = connection.isAuthenticated ? 0 : counts[connection.owner]?.unauthenticated ?? 0
            let rank = (crowd, -since)
            if found.map({ $0.rank < rank }) ?? true { found = (connection, rank) }
        }
        guard let connection = found?.connection else { return false }
        forget(connection)
        displaced[ObjectIdentifier(connection)] = connection
        connection.cutOff(.displaced, onCutOff)
        return true
    }

    /// The client of the connection has authenticated.
    func authenticate(_ connection: ClientConnection) {
        condition.withLock {
            // Two requests of one connection do not overlap, but it may have been cut off.
            guard open[ObjectIdentifier(connection)] != nil else { return }
            connection.markAuthenticated()
            count(unauthenticated: -1, of: connection.owner)
        }
    }

    private func count(unauthenticated change: Int, of owner: ConnectionOwner) {
        unauthenticated += change
        counts[owner]?.unauthenticated += change
    }

    /// Called before the library closes the socket: the kernel may give its number to another connection, which this
    /// server must not shut down.
    func remove(_ connection: ClientConnection) {
        condition.withLock {
            forget(connection)
            displaced[ObjectIdentifier(connection)] = nil
        }
    }

    /// The requests in progress.
    var requests: [any RequestInProgress] {
        condition.withLock { open.values.compactMap(\.request) + displaced.values.compactMap(\.request) }
    }

    private func forget(_ connection: ClientConnection) {
        guard open.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        let owner = connection.owner
        if !connection.isAuthenticated { count(unauthenticated: -1, of: owner) }
        counts[owner]?.all -= 1
        if counts[owner]?.all == 0 { counts[owner] = nil }
    }

    /// How many were cut off for being slow.
    var overdueCount: Int { condition.withLock { overdue } }

    func stop() {
        condition.withLock {
            isStopping = true
            condition.signal()
        }
    }

    private func watch() {
        condition.lock()
        defer { condition.unlock() }
        var isBehind = false
        while !isStopping {
            isIdle = open.isEmpty
            if isIdle {
                condition.wait()
            } else {
                _ = condition.wait(until: Date(timeIntervalSinceNow: isBehind ? Self.burstSeconds : 1))
            }
            // Clients that have not authenticated do not shorten the deadlines of those that have.
            let isCrowded = open.count >= crowdedFrom
            let isCrowdedByAuthenticated = open.count - unauthenticated >= crowdedFrom
            let cut = Array(
                open.values.lazy.filter {
                    $0.isOverdue { isAuthenticated in isAuthenticated ? isCrowdedByAuthenticated : isCrowded }
                }.prefix(Self.burstMax))
            overdue += cut.count
            for connection in cut { connection.cutOff(nil, onCutOff) }
            isBehind = cut.count == Self.burstMax
        }
    }
}
