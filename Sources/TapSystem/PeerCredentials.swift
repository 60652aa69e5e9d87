internal import Glibc

/// The process on the other side of a Unix socket, as recorded when it connected (`SO_PEERCRED`, unix(7)).
public struct PeerCredentials: Hashable, Sendable {
    /// Process ID; zero for a process in another PID namespace.
    public let process: Int32
    /// Effective user ID.
    public let user: UInt32
    /// Effective group ID.
    public let group: UInt32
    /// Supplementary group IDs (`SO_PEERGROUPS`).
    public let supplementaryGroups: [UInt32]

    private static let groupsMax = 65_536

    /// `nil` if the socket is not connected, or not a Unix socket.
    public init?(socket: Int32) {
        // SAFETY: the kernel writes at most `length` bytes to each local, during the calls. The first has the layout of
        // struct ucred.
        var credentials: (process: Int32, user: UInt32, group: UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard unsafe getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return nil }
        process = credentials.process
        user = credentials.user
        group = credentials.group
        var groups = [UInt32](repeating: 0, count: 32)
        length = socklen_t(groups.count * 4)
        if unsafe getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) != 0, errno == ERANGE,
            length <= Self.groupsMax * 4
        {
            groups = Array(repeating: 0, count: Int(length) / 4)
            // The size cannot have changed since: the groups of a connected peer are fixed.
            if unsafe getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) != 0 { length = 0 }
        }
        supplementaryGroups = Array(groups.prefix(Int(length) / 4))
    }

    public init(process: Int32, user: UInt32, group: UInt32, supplementaryGroups: [UInt32] = []) {
        self.process = process
        self.user = user
        self.group = group
        self.supplementaryGroups = supplementaryGroups
    }

    /// Whether it is the effective or a supplementary group.
    public func isMember(of group: UInt32) -> Bool { self.group == group || supplementaryGroups.contains(group) }
}
