internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// Enters a network namespace and returns (setns(2)), for the one thread that uses it.
final class NamespaceHandle {
    /// How often returning is tried: the kernel may be short of memory for a moment.
    private static let returnAttemptsMax = 100
    private static let returnMicroseconds: UInt32 = 10_000

    private let path: String
    private let inode: UInt64
    private let inner: FileDescriptor
    private let home: FileDescriptor

    /// - Throws: `NamespaceFailure` if there is no network namespace at `location`, or the daemon may not enter it.
    init(_ location: NetworkNamespace) throws(NamespaceFailure) {
        var inode: UInt64 = 0
        do throws(Errno) {
            let place = FileDescriptor(owning: try systemCall { unsafe clinux_open_network(location.path, &inode) })
            let home = try Self.openPresent()
            // Not `place` itself: while that is open, what is mounted at `location` cannot be unmounted.
            inner = try Self.inside(place.number, home: home.number) { () throws(Errno) in try Self.openPresent() }
            self.home = home
            self.inode = inode
            path = location.path
        } catch {
            throw Self.failure(error, location)
        }
    }

    /// Whether the path still leads to the same namespace.
    var isCurrent: Bool {
        var found: UInt64 = 0
        return unsafe clinux_network_inode(path, &found) == 0 && found == inode
    }

    /// Runs `body` with the thread in the namespace.
    func inside<Value: ~Copyable>(_ body: () throws(Errno) -> Value) throws(Errno) -> Value {
        try Self.inside(inner.number, home: home.number, body)
    }

    private static func openPresent() throws(Errno) -> FileDescriptor {
        try FileDescriptor(opening: "/proc/thread-self/ns/net", flags: O_RDONLY)
    }

    private static func inside<Value: ~Copyable>(
        _ inner: Int32, home: Int32, _ body: () throws(Errno) -> Value
    ) throws(Errno) -> Value {
        try systemCall { clinux_enter_network(inner) }
        defer { goHome(home) }
        return try body()
    }

    private static func goHome(_ home: Int32) {
        for _ in 0..<returnAttemptsMax {
            if clinux_enter_network(home) == 0 { return }
            usleep(returnMicroseconds)
        }
        // In the wrong namespace every further step would change the wrong devices.
        fatalError("cannot return to the daemon's network namespace")
    }

    private static func failure(_ errno: Errno, _ location: NetworkNamespace) -> NamespaceFailure {
        switch errno {
        // The file may exist for a moment longer than the namespace that was mounted on it.
        case .noEntry, .notADirectory, .tooManySymbolicLinks, .notATerminal:
            .missing("there is no network namespace at \(location.path)")
        case .noPermission, .accessDenied:
            .unusable(
                KernelError(
                    "enter_namespace", errno,
                    advice:
                        "to enter \(location.path) the daemon needs permission to open it and CAP_SYS_ADMIN, "
                        + "which deploy/network-namespaces.conf gives the service"))
        default: .unusable(KernelError("enter_namespace", errno))
        }
    }
}

extension NamespaceHandle? {
    /// Runs `body` with the thread in the namespace; without a handle, in the one that it is in.
    func inside<Value: ~Copyable>(_ body: () throws(Errno) -> Value) throws(Errno) -> Value {
        guard let handle = self else { return try body() }
        return try handle.inside(body)
    }
}
