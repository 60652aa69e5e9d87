internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// A connected Unix socket, on which queues are handed over.
final class LinuxConnection: KernelConnection {
    /// What a client may say, though nobody listens; it ends the lease to say more.
    private static let saidBytesMax = 64 << 10
    private static let readBytesMax = 4_096

    private let descriptor: FileDescriptor
    private let onClose: (Int32) -> Void
    private var isClosed = false
    private var saidBytes = 0

    init(_ descriptor: consuming FileDescriptor, onClose: @escaping (Int32) -> Void) {
        self.descriptor = descriptor
        self.onClose = onClose
    }

    var number: Int32 { descriptor.number }

    func send(_ message: [UInt8], with queues: [any KernelQueue]) throws(KernelError) {
        let numbers = queues.compactMap { ($0 as? TunQueue)?.number }
        do throws(Errno) {
            guard numbers.count == queues.count else { throw .badDescriptor }
            try DescriptorPassing.send(message, with: numbers, over: descriptor.number, flags: Int32(MSG_DONTWAIT))
        } catch {
            throw KernelError("hand_over", error)
        }
    }

    /// Reads what the other side has said, and drops it. Unread, descriptors that came with it would stay open as long
    /// as the connection; and were its other end among them, nobody's death would end the lease.
    ///
    /// - Returns: Whether the connection has ended, or shall.
    func hasEnded() -> Bool {
        var bytes = [UInt8](repeating: 0, count: Self.readBytesMax)
        while saidBytes <= Self.saidBytesMax {
            do throws(Errno) {
                // SAFETY: the kernel writes at most the array's bytes, during the call. It closes descriptors for which
                // there is no room.
                let count = try systemCall {
                    unsafe recv(descriptor.number, &bytes, Self.readBytesMax, Int32(MSG_DONTWAIT))
                }
                if count == 0 { return true }
                saidBytes += count
            } catch {
                return error != .wouldBlock
            }
        }
        return true
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        onClose(descriptor.number)
        // The other side's copies, and the service manager's, are of the same connection.
        shutdown(descriptor.number, Int32(SHUT_RDWR))
    }
}
