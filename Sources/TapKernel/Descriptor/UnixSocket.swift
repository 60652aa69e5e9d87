internal import CLinux
internal import Glibc
public import TapCore

/// Unix sockets (unix(7)), by the path that leads to them or, after an `@`, by a name in the abstract namespace.
public enum UnixSocket {
    /// Connects to a stream socket; neither that nor a send takes longer than `seconds`.
    ///
    /// - Throws: ENOENT, ECONNREFUSED, EACCES; EAGAIN when the server takes nobody in; EINVAL for a path that is too long.
    public static func connect(streamTo path: String, sendSecondsMax seconds: Int) throws(Errno) -> OwnedDescriptor {
        try connect(SOCK_STREAM, to: path, sendSecondsMax: seconds)
    }

    /// Connects to a datagram socket; no send takes longer than `seconds`, and one that would fails with EAGAIN.
    static func connect(datagramsTo path: String, sendSecondsMax seconds: Int) throws(Errno) -> OwnedDescriptor {
        try connect(SOCK_DGRAM, to: path, sendSecondsMax: seconds)
    }

    /// Binds a datagram socket to a name that the kernel makes up in the abstract namespace. Each message tells who sent
    /// it (`SO_PASSCRED`).
    ///
    /// - Returns: The socket and its name, with `@` for the NUL.
    static func bindDatagrams() throws(Errno) -> (socket: OwnedDescriptor, name: String) {
        let socket = try open(SOCK_DGRAM)
        let number = socket.number
        try set(SO_PASSCRED, Int32(1), on: number)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let family = socklen_t(MemoryLayout<sa_family_t>.size)
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        // SAFETY: the kernel reads the family alone, and then writes at most the address's bytes.
        try unsafe withUnsafeMutablePointer(to: &address) { pointer throws(Errno) in
            try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer throws(Errno) in
                try systemCall { unsafe bind(number, pointer, family) }
                try systemCall { unsafe getsockname(number, pointer, &length) }
            }
        }
        // SAFETY: the kernel has told how many bytes are the name.
        let name = unsafe withUnsafeBytes(of: address.sun_path) { bytes in
            unsafe String(decoding: bytes[1..<Int(length - family)], as: UTF8.self)
        }
        return (socket, "@" + name)
    }

    /// Waits until there is something to read, or nobody who writes any more (poll(2)).
    ///
    /// - Returns: Whether there is: not, when `deadline` has come before.
    /// - Throws: EBADF and the like never.
    public static func waitUntilReadable(
        _ number: Int32, until deadline: ContinuousClock.Instant
    ) throws(Errno) -> Bool {
        while true {
            let rest = ContinuousClock.now.duration(to: deadline)
            guard rest > .zero else { return false }
            var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
            let milliseconds = Int32(clamping: Int(rest / .milliseconds(1)) + 1)
            // SAFETY: the kernel reads and writes the one entry. EINTR is no reason to begin the time anew.
            let count = unsafe poll(&entry, 1, milliseconds)
            if count > 0 { return true }
            if count < 0, clinux_errno() != EINTR { throw Errno(rawValue: clinux_errno()) }
        }
    }

    private static func connect(
        _ type: __socket_type, to path: String, sendSecondsMax seconds: Int
    ) throws(Errno) -> OwnedDescriptor {
        let socket = try open(type)
        let number = socket.number
        try set(SO_SNDTIMEO, timeval(tv_sec: seconds, tv_usec: 0), on: number)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        guard !bytes.isEmpty, !bytes.contains(0), bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw .invalid
        }
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        // SAFETY: the length is checked above, against the very field.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        // SAFETY: the kernel reads the address during the call.
        try unsafe withUnsafePointer(to: &address) { pointer throws(Errno) in
            try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer throws(Errno) in
                _ = try systemCall { unsafe Glibc.connect(number, pointer, length) }
            }
        }
        return socket
    }

    private static func open(_ type: __socket_type) throws(Errno) -> OwnedDescriptor {
        let type = Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        return OwnedDescriptor(owning: try systemCall { socket(AF_UNIX, type, 0) })
    }

    private static func set(_ option: Int32, _ value: some BitwiseCopyable, on number: Int32) throws(Errno) {
        // SAFETY: the kernel reads the value during the call.
        try unsafe withUnsafeBytes(of: value) { bytes throws(Errno) in
            _ = try systemCall {
                unsafe setsockopt(number, SOL_SOCKET, option, bytes.baseAddress, socklen_t(bytes.count))
            }
        }
    }
}
