internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

// Queues for consumers.
extension LinuxNamespace {
    func openQueues(of index: LinkIndex, _ opening: QueueOpening) throws(KernelError) -> OpenedQueues {
        let name: String
        do throws(Errno) { name = try self.name(of: index) } catch { throw KernelError("open_queue", error) }
        var queues: [TunQueue] = []
        do throws(Errno) {
            // Another interface may have got the number.
            if let own = opening.inode, let found = inode(of: ObservedLink(index: index, name: name), expecting: own),
                found != own
            {
                throw .noDevice
            }
            for _ in 0..<opening.count {
                queues.append(
                    try TunQueue(attachingTo: name, flags: opening.flags, carrier: opening.carrier, in: handle))
            }
            // The interface may have been renamed or removed meanwhile. Then the queues have created another device,
            // which the kernel removes when they are closed.
            guard try self.index(of: name) == index else { throw .noDevice }
        } catch {
            throw KernelError("open_queue", error, advice: Self.openAdvice(error))
        }
        guard let first = queues.first else { return OpenedQueues(queues: [], vnetHeaderSize: nil) }
        return OpenedQueues(queues: queues, vnetHeaderSize: try prepare(first, of: name, opening))
    }

    /// Sets what the last consumer may have changed, and reads it back.
    ///
    /// - Returns: The size of the vnet header in bytes; `nil` without one.
    private func prepare(
        _ queue: TunQueue, of name: String, _ opening: QueueOpening
    ) throws(KernelError) -> Int? {
        var operation = "read_queue"
        do throws(Errno) {
            guard try queue.state().vnetHeader == opening.flags.vnetHeader else { throw .badMessage }
            if opening.settings != nil {
                operation = "reset_queue"
                try queue.reset()
            }
            if let size = opening.settings?.vnetHeaderSize {
                operation = "set_vnet_header_size"
                try queue.setVnetHeaderSize(size)
            }
            if let offloads = opening.settings?.offloads {
                operation = "set_offloads"
                try queue.setOffloads(offloads)
                if let shown = self.offloads(of: name), shown.asShown != offloads.asShown { throw .badMessage }
            }
            if let size = opening.sendBuffer {
                operation = "set_send_buffer"
                try queue.setSendBuffer(size)
            }
            guard opening.flags.vnetHeader else { return nil }
            // `setVnetHeaderSize` has read it back.
            if let size = opening.settings?.vnetHeaderSize { return size.value }
            operation = "read_queue"
            return try queue.vnetHeaderSize()
        } catch {
            throw KernelError(
                operation, error,
                advice: error == .badMessage
                    ? "the kernel shows another value than was set; another process may hold a queue of the device"
                    : nil)
        }
    }

    private static func openAdvice(_ errno: Errno) -> String? {
        switch errno {
        case .busy: "another process holds the only queue of this single-queue device"
        case .tooBig: "the device already has the kernel's maximum of 256 queues, detached ones included"
        case .tooManyOpenFiles: "raise the limit of open files (LimitNOFILE=)"
        case .invalid: "the kernel's device differs from the spec in its kind or in multiQueue"
        default: TunQueue.advice(errno)
        }
    }
}
