internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// A lease's connected Unix socket, over which its queues are handed to the consumer.
final class LinuxConnection: KernelConnection {
    /// How much a client may send in all, although it is ignored; sending more ends the lease.
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
            try DescriptorPassing.send(message, with: numbers, over: descriptor.number, flags: MessageFlag.doNotWait)
        } catch {
            throw KernelError("hand_over", error)
        }
    }

    /// Reads and discards what the client has sent. Descriptors in unread messages would stay open as long as the
    /// connection; and if the client had sent its own end of it, end of file would never arrive.
    ///
    /// - Returns: Whether the connection has ended or failed, or the client has sent too much.
    func hasEnded() -> Bool {
        var bytes = [UInt8](repeating: 0, count: Self.readBytesMax)
        while saidBytes <= Self.saidBytesMax {
            do throws(Errno) {
                // SAFETY: the kernel writes at most the array's bytes, during the call. It closes received descriptors,
                // since the call has no buffer for them.
                let count = try systemCall {
                    unsafe recv(descriptor.number, &bytes, Self.readBytesMax, MessageFlag.doNotWait)
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
        // Other processes and the service manager have copies, so closing the descriptor would not end the connection.
        shutdown(descriptor.number, ShutdownMode.both)
    }
}
