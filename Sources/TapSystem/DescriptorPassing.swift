internal import CLinux
internal import Glibc

/// Messages with descriptors over a Unix socket (`SCM_RIGHTS`, unix(7)).
public enum DescriptorPassing {
    /// The most descriptors that `send` accepts. The kernel's limit is 253 (`SCM_MAX_FD`).
    public static let descriptorsMax = 250

    /// The most descriptors in a received message: the kernel's limit (`SCM_MAX_FD`).
    public static let receivedDescriptorsMax = 253

    /// sendmsg(2) with `MSG_NOSIGNAL`. The descriptors stay open in this process.
    ///
    /// - Precondition: On a stream, `bytes` is not empty, since descriptors are sent with a byte.
    /// - Throws: EINVAL for more than `descriptorsMax`; EPIPE if the other side is closed; EAGAIN if the buffer is full
    ///   and the socket is non-blocking or its send timeout has passed; ETOOMANYREFS if too many descriptors are in
    ///   flight; EMSGSIZE if only a part of the bytes was sent, with the descriptors.
    public static func send(
        _ bytes: [UInt8], with descriptors: [Int32], over socket: Int32, flags: Int32 = 0
    ) throws(Errno) {
        guard descriptors.count <= descriptorsMax else { throw Errno(rawValue: EINVAL) }
        // SAFETY: the kernel reads both arrays during the call.
        let sent = try systemCall {
            unsafe clinux_send_descriptors(socket, bytes, bytes.count, descriptors, descriptors.count, flags)
        }
        guard sent == bytes.count else { throw Errno(rawValue: EMSGSIZE) }
    }

    /// recvmsg(2) with `MSG_CMSG_CLOEXEC`. On a stream, it returns the descriptors of at most one message, with that
    /// message's first bytes.
    ///
    /// - Parameters:
    ///   - bytesMax: The size of the buffer.
    ///   - countMax: The most descriptors to accept.
    ///   - socket: A Unix socket; with `withSender`, one with `SO_PASSCRED`.
    ///   - withSender: Whether to return the sender's process.
    ///   - flags: Further flags of recvmsg(2).
    /// - Returns: The message.
    /// - Throws: EMSGSIZE if a datagram is longer than `bytesMax`, or has more descriptors than `countMax` or than the
    ///   process may open; those received are closed. EAGAIN if a non-blocking socket has no message.
    public static func receive(
        upTo bytesMax: Int, descriptorsUpTo countMax: Int = receivedDescriptorsMax, from socket: Int32,
        withSender: Bool = false, flags: Int32 = 0
    ) throws(Errno) -> ReceivedMessage {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        var numbers = [Int32](repeating: 0, count: countMax)
        var count = 0
        var sender: pid_t = 0
        var messageFlags: Int32 = 0
        // SAFETY: the arrays have the given sizes, and live during the call, as do the other arguments.
        let received = try systemCall {
            count = countMax
            return unsafe withUnsafeMutablePointer(to: &sender) { pointer in
                unsafe clinux_receive_descriptors(
                    socket, &bytes, bytesMax, &numbers, &count, withSender ? pointer : nil, flags, &messageFlags)
            }
        }
        let descriptors = numbers[..<count].map { OwnedDescriptor(owning: $0) }
        guard messageFlags & (MessageFlag.controlTruncated | MessageFlag.truncated) == 0 else {
            throw Errno(rawValue: EMSGSIZE)
        }
        bytes.removeLast(bytesMax - received)
        return ReceivedMessage(bytes: bytes, descriptors: descriptors, sender: sender == 0 ? nil : sender)
    }
}

/// The result of one recvmsg(2).
public struct ReceivedMessage: Sendable {
    /// Empty at the end of a stream.
    public let bytes: [UInt8]
    /// In the order in which they were sent; close-on-exec.
    public let descriptors: [OwnedDescriptor]
    /// The sender's process ID, if requested.
    public let sender: Int32?
}
