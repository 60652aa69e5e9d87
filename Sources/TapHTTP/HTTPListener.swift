internal import Foundation
internal import Glibc

/// A socket that waits for connections.
public final class HTTPListener: Sendable, CustomStringConvertible {
    private static let backlogMax: Int32 = 1_024

    /// The path, or the address with its port.
    public let description: String
    let tls: HTTPTLS?
    /// -1 without one.
    let socket: Int32
    let isUnix: Bool
    private let path: String?

    /// Has no socket: its connections are socket pairs, which `HTTPServer.add` serves.
    init() {
        description = "socket pairs"
        tls = nil
        socket = -1
        isUnix = true
        path = nil
    }

    /// A Unix socket at `path`, for its owner and `group` alone. A socket that a dead daemon left is replaced.
    ///
    /// - Throws: `HTTPServerError` when somebody listens there, or the file cannot be made.
    public init(unix path: String, group: UInt32?) throws(HTTPServerError) {
        description = path
        self.path = path
        isUnix = true
        tls = nil
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0) else {
            throw HTTPServerError(
                description: "the socket's path has \(bytes.count) bytes; at most "
                    + "\(MemoryLayout.size(ofValue: address.sun_path) - 1) are possible: \(path)")
        }
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: the length is checked above, against the very field.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        socket = Glibc.socket(AF_UNIX, type, 0)
        guard socket >= 0 else { throw Self.failure("socket", path) }
        do throws(HTTPServerError) {
            try Self.removeStale(address, path: path)
            // Nobody may connect before owner and mode are right: the file gets the socket's mode (`unix_bind_bsd()`).
            guard fchmod(socket, 0o600) == 0 else { throw Self.failure("fchmod", path) }
            let bound = unsafe Self.call(address) { unsafe bind(socket, $0, $1) }
            guard bound == 0 else { throw Self.failure("bind", path) }
            if let group, unsafe chown(path, uid_t.max, group) != 0 { throw Self.failure("chown", path) }
            guard unsafe chmod(path, 0o660) == 0 else { throw Self.failure("chmod", path) }
            guard listen(socket, Self.backlogMax) == 0 else { throw Self.failure("listen", path) }
        } catch {
            Glibc.close(socket)
            throw error
        }
    }

    /// A TCP port of a numeric address: `127.0.0.1:9480` or `[::1]:9480`; with port 0, one that is free.
    ///
    /// - Throws: `HTTPServerError` when the address is none, or is taken.
    public init(tcp text: String, tls: HTTPTLS? = nil) throws(HTTPServerError) {
        let address = try HTTPAddress(text)
        path = nil
        isUnix = false
        self.tls = tls
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let socket = Glibc.socket(address.host.contains(":") ? AF_INET6 : AF_INET, type, 0)
        guard socket >= 0 else { throw Self.failure("socket", text) }
        self.socket = socket
        // A restart must not wait for the last connections' TIME_WAIT.
        var yes: Int32 = 1
        _ = unsafe setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound = unsafe address.withInfo { unsafe bind(socket, $0.ai_addr, $0.ai_addrlen) }
        guard bound == 0, listen(socket, Self.backlogMax) == 0 else {
            let failure = Self.failure("listen", text)
            Glibc.close(socket)
            throw failure
        }
        description = Self.localAddress(socket)?.description ?? text
    }

    private static func localAddress(_ socket: Int32) -> HTTPAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: a sockaddr_storage holds every kind of address; the kernel writes at most its length.
        return unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe getsockname(socket, address, &length) == 0 ? HTTPAddress(address) : nil
            }
        }
    }

    /// Ends listening and removes the socket's file.
    func close() {
        if let path { unsafe unlink(path) }
        if socket >= 0 { Glibc.close(socket) }
    }

    private static func removeStale(_ address: sockaddr_un, path: String) throws(HTTPServerError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw HTTPServerError(
                description: "\(path) exists and is not a socket; remove it, or choose another --socket")
        }
        let probe = Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        defer { Glibc.close(probe) }
        let answer = unsafe call(address) { unsafe connect(probe, $0, $1) }
        // Refused means that nobody listens. Anything else, a full backlog too, means that somebody may.
        guard answer != 0, errno == ECONNREFUSED else {
            throw HTTPServerError(description: "somebody listens on \(path) already; is another tapster running?")
        }
        unsafe unlink(path)
    }

    private static func call(
        _ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        // SAFETY: a sockaddr_un is what AF_UNIX calls expect behind a sockaddr pointer (unix(7)).
        unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe body(pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func failure(_ call: String, _ path: String) -> HTTPServerError {
        HTTPServerError(description: "\(call) for \(path): \(unsafe String(cString: strerror(errno)))")
    }
}
