internal import Glibc
public import TapSystem

/// A listening socket, Unix or TCP.
public final class HTTPListener: Sendable, CustomStringConvertible {
    /// Connections that wait to be accepted; the kernel's `net.core.somaxconn` may limit it further. A client whose
    /// connection does not fit tries again after a second.
    private static let backlogMax: Int32 = 4_096

    /// The path of a Unix socket, or the address and port.
    public let description: String
    let tls: HTTPTLS?
    let isUnix: Bool
    /// `nil` if connections are socket pairs, which `HTTPServer.add` serves.
    let socket: OwnedDescriptor?
    private let path: String?

    /// A listener without a socket.
    init() {
        description = "socket pairs"
        tls = nil
        isUnix = true
        socket = nil
        path = nil
    }

    /// A Unix socket at `path`, which its owner and `group` may use (mode 0660). A socket file left by an ended process
    /// is replaced.
    ///
    /// - Throws: `HTTPServerError` if the path is too long, is not a socket, another process listens on it, or the file
    ///   cannot be created.
    public init(unix path: String, group: UInt32?) throws(HTTPServerError) {
        guard let name = UnixSocketPath(path), !path.hasPrefix("@") else {
            throw HTTPServerError(
                description: "the socket's path has \(path.utf8.count) bytes, at most \(UnixSocketPath.bytesMax) are "
                    + "allowed: \(path)")
        }
        description = path
        isUnix = true
        self.path = path
        tls = nil
        let address = SocketAddress.unix(name)
        socket = try Self.attempt("listen", path) { () throws(Errno) in
            try Socket.open(AF_UNIX, .stream, isNonBlocking: true)
        }
        guard let number = socket?.number else { return }
        try Self.removeStale(address, path: path)
        try Self.attempt("listen", path) { () throws(Errno) in
            // No client may connect before owner and mode are set: the file gets the socket's mode (`unix_bind_bsd()`).
            try systemCall { fchmod(number, 0o600) }
            try Socket.bind(number, to: address)
            try FileSystem.setAccess(path, group: group, mode: 0o660)
            try Socket.listen(number, backlogMax: Self.backlogMax)
        }
    }

    /// A TCP port of a numeric address; with port 0, the kernel chooses a free one.
    ///
    /// - Throws: `HTTPServerError` if the address is in use or is not an address of this host.
    public init(tcp address: NetworkAddress, tls: HTTPTLS? = nil) throws(HTTPServerError) {
        path = nil
        isUnix = false
        self.tls = tls
        let name = address.description
        let socket = try Self.attempt("listen", name) { () throws(Errno) in
            let address = SocketAddress.network(address)
            let socket = try Socket.open(address.family, .stream, isNonBlocking: true)
            // A restart must not wait for the last connections' TIME_WAIT.
            try Socket.set(SO_REUSEADDR, Int32(1), on: socket.number)
            try Socket.bind(socket.number, to: address)
            try Socket.listen(socket.number, backlogMax: Self.backlogMax)
            return socket
        }
        self.socket = socket
        description = Socket.networkAddress(of: socket.number)?.description ?? name
    }

    /// Stops listening and removes the socket's file.
    func close() {
        if let path { try? FileSystem.remove(path) }
        socket?.close()
    }

    private static func removeStale(_ address: SocketAddress, path: String) throws(HTTPServerError) {
        guard let status = try? FileStatus(path: path, followsLinks: false) else { return }
        guard status.isSocket else {
            throw HTTPServerError(
                description: "\(path) exists and is not a socket; remove it, or choose another --socket")
        }
        do throws(Errno) {
            let probe = try Socket.open(AF_UNIX, .stream, isNonBlocking: true)
            try Socket.connect(probe.number, to: address)
        } catch .connectionRefused {
            // No process listens. After any other failure, such as a full backlog, one may.
            try? FileSystem.remove(path)
            return
        } catch {}
        throw HTTPServerError(description: "another process listens on \(path); is another tapster running?")
    }

    private static func attempt<Value>(
        _ what: String, _ path: String, _ body: () throws(Errno) -> Value
    ) throws(HTTPServerError) -> Value {
        do throws(Errno) { return try body() } catch {
            throw HTTPServerError(description: "cannot \(what) on \(path): \(error.meaning)")
        }
    }
}
