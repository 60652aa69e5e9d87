internal import CLinux
internal import Glibc

/// Bytes that travel with open files over a Unix socket (`SCM_RIGHTS`, unix(7)).
public enum DescriptorPassing {
    /// How many descriptors we send with one message. The kernel takes 253 (`SCM_MAX_FD`).
    public static let descriptorsMax = 250

    /// How many descriptors a message of anybody can have.
    public static let receivedDescriptorsMax = 253

    /// sendmsg(2) with `MSG_NOSIGNAL`. The descriptors stay open here.
    ///
    /// - Precondition: On a stream, `bytes` is not empty: descriptors travel with a byte.
    /// - Throws: EINVAL beyond `descriptorsMax`; EPIPE when nobody reads; EAGAIN when a socket that does not wait, or
    ///   no longer waits, is full; ETOOMANYREFS when too many are under way; EMSGSIZE when only a part went out, and
    ///   the descriptors with it.
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

    /// recvmsg(2) with `MSG_CMSG_CLOEXEC`: on a stream at most one message's descriptors, with its first bytes. With
    /// `withSender`, the socket has `SO_PASSCRED`, and the message tells who sent it.
    ///
    /// - Returns: What came.
    /// - Throws: EMSGSIZE when a datagram is longer, or had more descriptors than are wanted or than the process may
    ///   have open: then what came is closed. EAGAIN when there is nothing on a socket that does not wait.
    public static func receive(
        upTo bytesMax: Int, descriptorsUpTo countMax: Int = receivedDescriptorsMax, from socket: Int32,
        withSender: Bool = false, flags: Int32 = 0
    ) throws(Errno) -> ReceivedMessage {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        var numbers = [Int32](repeating: 0, count: countMax)
        var count = 0
        var sender: pid_t = 0
        var messageFlags: Int32 = 0
        // SAFETY: the arrays have the room that is told, and live during the call, as do the other arguments.
        let received = try systemCall {
            count = countMax
            return unsafe withUnsafeMutablePointer(to: &sender) { pointer in
                unsafe clinux_receive_descriptors(
                    socket, &bytes, bytesMax, &numbers, &count, withSender ? pointer : nil, flags, &messageFlags)
            }
        }
        let descriptors = numbers[..<count].map { OwnedDescriptor(owning: $0) }
        guard messageFlags & Int32(MSG_CTRUNC | MSG_TRUNC) == 0 else {
            throw Errno(rawValue: EMSGSIZE)
        }
        bytes.removeLast(bytesMax - received)
        return ReceivedMessage(bytes: bytes, descriptors: descriptors, sender: sender == 0 ? nil : sender)
    }
}

/// What one recvmsg(2) brought.
public struct ReceivedMessage: Sendable {
    /// On a stream, none at its end.
    public let bytes: [UInt8]
    public let descriptors: [OwnedDescriptor]
    /// The process that sent it, where that was asked for.
    public let sender: Int32?
}
