internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

// What consumers get: queues of their own.
extension LinuxNamespace {
    func openQueues(of index: LinkIndex, _ opening: QueueOpening) throws(KernelError) -> OpenedQueues {
        let name: String
        do throws(Errno) { name = try self.name(of: index) } catch { throw KernelError("open_queue", error) }
        var queues: [TunQueue] = []
        do throws(Errno) {
            for _ in 0..<opening.count {
                queues.append(
                    try TunQueue(attachingTo: name, flags: opening.flags, carrier: opening.carrier, in: handle))
            }
            // It may have been renamed or removed meanwhile; then the queues have made another device, and end it too.
            guard try self.index(of: name) == index else { throw .noDevice }
        } catch {
            throw KernelError("open_queue", error, advice: Self.openAdvice(error))
        }
        guard let first = queues.first else { return OpenedQueues(queues: [], vnetHeaderSize: nil) }
        return OpenedQueues(queues: queues, vnetHeaderSize: try prepare(first, of: name, opening))
    }

    /// Sets what the last consumer may have changed, and looks whether the kernel has it.
    ///
    /// - Returns: The size of the vnet header, if there is one.
    private func prepare(
        _ queue: TunQueue, of name: String, _ opening: QueueOpening
    ) throws(KernelError) -> Int? {
        var operation = "read_queue"
        do throws(Errno) {
            guard try queue.state().vnetHeader == opening.flags.vnetHeader else { throw .badMessage }
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
            // What was set has been read back.
            if let size = opening.settings?.vnetHeaderSize { return size.value }
            operation = "read_queue"
            return try queue.vnetHeaderSize()
        } catch {
            throw KernelError(
                operation, error,
                advice: error == .badMessage
                    ? "the kernel does not show what was asked for; does another process hold a queue of the device?"
                    : nil)
        }
    }

    private static func openAdvice(_ errno: Errno) -> String? {
        switch errno {
        case .busy: "another process holds the only queue of this single-queue device"
        case .tooBig: "the device has all the 256 queues that the kernel gives it; detached ones count too"
        case .tooManyOpenFiles: "raise the limit of open files (LimitNOFILE=)"
        case .invalid: "the device in the kernel has another kind, or another number of queues, than is stated"
        default: TunQueue.advice(errno)
        }
    }
}
