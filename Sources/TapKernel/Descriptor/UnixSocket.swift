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

    /// Binds a datagram socket, of which each message tells who sent it (`SO_PASSCRED`).
    ///
    /// - Throws: EADDRINUSE, EACCES, ENOENT; EINVAL for a path that is too long.
    static func bind(datagramsAt path: String) throws(Errno) -> OwnedDescriptor {
        let socket = try open(SOCK_DGRAM)
        let number = socket.number
        try set(SO_PASSCRED, Int32(1), on: number)
        // SAFETY: the kernel reads the address during the call.
        try unsafe withAddress(path) { (address, length) throws(Errno) in
            _ = try systemCall { unsafe Glibc.bind(number, address, length) }
        }
        return socket
    }

    /// Waits until there is something to read, or nobody who writes any more (poll(2)).
    ///
    /// - Returns: Which of the descriptors; none, when `deadline` has come before.
    public static func waitUntilReadable(
        _ numbers: [Int32], until deadline: ContinuousClock.Instant?
    ) throws(Errno) -> Set<Int32> {
        while true {
            var entries = numbers.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            // SAFETY: the kernel reads and writes as many entries as there are.
            let count = unsafe poll(&entries, nfds_t(entries.count), milliseconds(until: deadline))
            if count >= 0 { return Set(entries.filter { $0.revents != 0 }.map(\.fd)) }
            // The time is not begun anew after EINTR, so this call does not go through `systemCall`.
            let errno = Errno(rawValue: clinux_errno())
            if errno != .interrupted { throw errno }
        }
    }

    /// Rounded up, so that a wait does not end before its deadline and turn into a spin.
    private static func milliseconds(until deadline: ContinuousClock.Instant?) -> Int32 {
        guard let deadline else { return -1 }
        let rest = ContinuousClock.now.duration(to: deadline)
        return rest <= .zero ? 0 : Int32(clamping: Int((rest / .milliseconds(1)).rounded(.up)))
    }

    private static func connect(
        _ type: __socket_type, to path: String, sendSecondsMax seconds: Int
    ) throws(Errno) -> OwnedDescriptor {
        let socket = try open(type)
        let number = socket.number
        try set(SO_SNDTIMEO, timeval(tv_sec: seconds, tv_usec: 0), on: number)
        // SAFETY: the kernel reads the address during the call.
        try unsafe withAddress(path) { (address, length) throws(Errno) in
            _ = try systemCall { unsafe Glibc.connect(number, address, length) }
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

    /// The path as the kernel reads it during `body`.
    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Void
    ) throws(Errno) {
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
        // SAFETY: the address lives until `body` has returned.
        try unsafe withUnsafePointer(to: &address) { pointer throws(Errno) in
            try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer throws(Errno) in
                try unsafe body(pointer, length)
            }
        }
    }
}
