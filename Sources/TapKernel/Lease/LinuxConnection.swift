internal import CLinux
internal import Glibc
internal import TapCore

/// A connected Unix socket, on which queues are handed over.
final class LinuxConnection: KernelConnection {
    private let descriptor: FileDescriptor
    private let manager: ServiceManager?
    private let onClose: (Int32) -> Void
    private var name: String?
    private var isClosed = false

    init(
        _ descriptor: consuming FileDescriptor, manager: ServiceManager?, keptAs name: String? = nil,
        onClose: @escaping (Int32) -> Void
    ) {
        self.descriptor = descriptor
        self.manager = manager
        self.name = name
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

    func keep(as name: String) throws(KernelError) {
        guard let manager else { return }
        do throws(Errno) { try manager.keep(descriptor.number, as: name) } catch {
            throw KernelError("keep_descriptor", error)
        }
        self.name = name
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        onClose(descriptor.number)
        // The other side's copies, and the service manager's, are of the same connection.
        shutdown(descriptor.number, Int32(SHUT_RDWR))
        if let name { try? manager?.forget(name) }
    }
}
