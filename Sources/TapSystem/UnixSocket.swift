internal import Glibc

/// Unix sockets (unix(7)). A path that begins with `@` is a name in the abstract namespace.
public enum UnixSocket {
    /// Connects to a stream socket. Connecting, and each send, fails with EAGAIN after `seconds`.
    ///
    /// - Throws: ENOENT, ECONNREFUSED, EACCES; EAGAIN if the server does not accept the connection in time; EINVAL if
    ///   the path is too long.
    public static func connect(streamTo path: String, sendSecondsMax seconds: Int) throws(Errno) -> OwnedDescriptor {
        try connect(.stream, to: path, sendSecondsMax: seconds)
    }

    /// Connects to a datagram socket. Each send fails with EAGAIN after `seconds`.
    ///
    /// - Throws: ENOENT, ECONNREFUSED, EACCES; EINVAL if the path is too long.
    public static func connect(
        datagramsTo path: String, sendSecondsMax seconds: Int
    ) throws(Errno) -> OwnedDescriptor {
        try connect(.datagram, to: path, sendSecondsMax: seconds)
    }

    /// Binds a datagram socket that receives the sender's credentials with each message (`SO_PASSCRED`).
    ///
    /// - Throws: EADDRINUSE, EACCES, ENOENT; EINVAL if the path is too long.
    public static func bind(datagramsAt path: String) throws(Errno) -> OwnedDescriptor {
        let socket = try Socket.open(AF_UNIX, .datagram)
        try Socket.set(SO_PASSCRED, Int32(1), on: socket.number)
        try Socket.bind(socket.number, to: try address(path))
        return socket
    }

    private static func connect(
        _ type: SocketType, to path: String, sendSecondsMax seconds: Int
    ) throws(Errno) -> OwnedDescriptor {
        let socket = try Socket.open(AF_UNIX, type)
        try Socket.set(SO_SNDTIMEO, timeval(tv_sec: seconds, tv_usec: 0), on: socket.number)
        try Socket.connect(socket.number, to: try address(path))
        return socket
    }

    private static func address(_ path: String) throws(Errno) -> SocketAddress {
        guard let path = UnixSocketPath(path) else { throw .invalid }
        return .unix(path)
    }
}
