internal import CLinux
internal import Glibc
internal import TapCore

/// A connected Unix socket, on which queues are handed over.
final class LinuxConnection: KernelConnection {
    private let descriptor: FileDescriptor
    private let onClose: (Int32) -> Void
    private var isClosed = false

    init(_ descriptor: consuming FileDescriptor, onClose: @escaping (Int32) -> Void) {
        self.descriptor = descriptor
        self.onClose = onClose
    }

    var number: Int32 { descriptor.number }

    func send(_ message: [UInt8], with queues: [any KernelQueue]) throws(KernelError) {
        let numbers = queues.compactMap { ($0 as? LinuxQueue)?.number }
        do throws(Errno) {
            guard numbers.count == queues.count else { throw .badDescriptor }
            try DescriptorPassing.send(message, with: numbers, over: descriptor.number, flags: Int32(MSG_DONTWAIT))
        } catch {
            throw KernelError("hand_over", error)
        }
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        onClose(descriptor.number)
        // The other side's copies, and the service manager's, are of the same connection.
        shutdown(descriptor.number, Int32(SHUT_RDWR))
    }
}
