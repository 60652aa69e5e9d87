public import Glibc

/// System calls on sockets (socket(2)). All sockets are close-on-exec.
public enum Socket {
    /// socket(2).
    ///
    /// - Throws: EMFILE, ENFILE, ENOBUFS; EAFNOSUPPORT if the kernel or a seccomp filter does not allow the family.
    public static func open(
        _ family: Int32, _ type: SocketType, protocol number: Int32 = 0, isNonBlocking: Bool = false
    ) throws(Errno) -> OwnedDescriptor {
        OwnedDescriptor(owning: try systemCall { socket(family, type.argument(isNonBlocking: isNonBlocking), number) })
    }

    /// socketpair(2) of Unix sockets.
    ///
    /// - Throws: EMFILE, ENFILE.
    public static func pair(
        _ type: SocketType, isNonBlocking: Bool = false
    ) throws(Errno) -> (OwnedDescriptor, OwnedDescriptor) {
        var ends: [Int32] = [-1, -1]
        // SAFETY: the kernel writes two numbers, during the call.
        try systemCall { unsafe socketpair(AF_UNIX, type.argument(isNonBlocking: isNonBlocking), 0, &ends) }
        return (OwnedDescriptor(owning: ends[0]), OwnedDescriptor(owning: ends[1]))
    }

    /// setsockopt(2).
    ///
    /// - Throws: ENOPROTOOPT, EINVAL, EPERM.
    public static func set(
        _ option: Int32, level: Int32 = SOL_SOCKET, _ value: some BitwiseCopyable, on socket: Int32
    ) throws(Errno) {
        // SAFETY: the kernel reads the value during the call.
        try unsafe withUnsafeBytes(of: value) { bytes throws(Errno) in
            _ = try systemCall {
                unsafe setsockopt(socket, level, option, bytes.baseAddress, socklen_t(bytes.count))
            }
        }
    }

    /// bind(2).
    ///
    /// - Throws: EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOENT.
    public static func bind(_ socket: Int32, to address: SocketAddress) throws(Errno) {
        // SAFETY: the kernel reads the address during the call; the same holds for connect(2) below.
        try unsafe address.withPointer { (address, length) throws(Errno) in
            _ = try systemCall { unsafe Glibc.bind(socket, address, length) }
        }
    }

    /// connect(2).
    ///
    /// - Throws: ENOENT, ECONNREFUSED, EACCES; EAGAIN if a Unix socket's backlog is full.
    public static func connect(_ socket: Int32, to address: SocketAddress) throws(Errno) {
        try unsafe address.withPointer { (address, length) throws(Errno) in
            _ = try systemCall { unsafe Glibc.connect(socket, address, length) }
        }
    }

    /// listen(2).
    ///
    /// - Throws: EADDRINUSE, EOPNOTSUPP.
    public static func listen(_ socket: Int32, backlogMax: Int32) throws(Errno) {
        try systemCall { Glibc.listen(socket, backlogMax) }
    }

    /// getsockname(2); `nil` if it is not an IP socket.
    public static func networkAddress(of socket: Int32) -> NetworkAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: a sockaddr_storage has room for every kind of address; the kernel writes at most `length` bytes.
        return unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe getsockname(socket, address, &length) == 0 ? NetworkAddress(address) : nil
            }
        }
    }
}
