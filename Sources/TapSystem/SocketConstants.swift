internal import CLinux

/// Flags of send(2) and recv(2).
public enum MessageFlag {
    /// `MSG_DONTWAIT`
    public static let doNotWait = clinux_msg_dontwait
    /// `MSG_NOSIGNAL`: EPIPE without SIGPIPE.
    public static let noSignal = clinux_msg_nosignal
    /// `MSG_PEEK`
    public static let peek = clinux_msg_peek
    /// `MSG_TRUNC`
    public static let truncated = clinux_msg_trunc
    /// `MSG_CTRUNC`: control data was lost.
    public static let controlTruncated = clinux_msg_ctrunc
    /// `MSG_CMSG_CLOEXEC`
    public static let closeOnExec = clinux_msg_cmsg_cloexec
}

/// A type of socket(2).
public struct SocketType: Sendable {
    let rawValue: Int32

    /// `SOCK_STREAM`
    public static let stream = SocketType(rawValue: clinux_sock_stream)
    /// `SOCK_DGRAM`
    public static let datagram = SocketType(rawValue: clinux_sock_dgram)
    /// `SOCK_RAW`
    public static let raw = SocketType(rawValue: clinux_sock_raw)
    /// `SOCK_SEQPACKET`
    public static let sequencedPacket = SocketType(rawValue: clinux_sock_seqpacket)

    /// The type as an argument, with `SOCK_CLOEXEC`, and `SOCK_NONBLOCK` if asked for.
    func argument(isNonBlocking: Bool) -> Int32 {
        rawValue | clinux_sock_cloexec | (isNonBlocking ? clinux_sock_nonblock : 0)
    }
}

/// How shutdown(2) ends a connection.
public enum ShutdownMode {
    /// `SHUT_RDWR`
    public static let both = clinux_shut_rdwr
}
