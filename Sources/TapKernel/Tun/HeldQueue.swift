internal import Glibc
internal import TapCore
internal import TapSystem

/// A queue that a collection may hold: a consumer's, an anchor, or the one through which a plan works.
final class HeldQueue {
    private let queue: TunQueue
    private let manager: ServiceManager?
    /// Under which the service manager has a copy.
    private var name: String?

    init(_ queue: consuming TunQueue, manager: ServiceManager?, keptAs name: String? = nil) {
        self.queue = queue
        self.manager = manager
        self.name = name
    }

    var number: Int32 { queue.number }

    func persist() throws(Errno) { try queue.persist() }
    func setOwner(_ user: UInt32) throws(Errno) { try queue.setOwner(user) }
    func setGroup(_ group: UInt32) throws(Errno) { try queue.setGroup(group) }
    func setOffloads(_ offloads: Offloads) throws(Errno) { try queue.setOffloads(offloads) }
    func setVnetHeaderSize(_ size: VnetHeaderSize) throws(Errno) { try queue.setVnetHeaderSize(size) }
    func setSendBuffer(_ size: SendBufferBytes) throws(Errno) { try queue.setSendBuffer(size) }
    func vnetHeaderSize() throws(Errno) -> Int { try queue.vnetHeaderSize() }
    func state() throws(Errno) -> TunQueue.State { try queue.state() }
    func detach() throws(Errno) { try queue.detach() }
    func attach() throws(Errno) { try queue.attach() }

    func keep(as name: String) throws(Errno) {
        guard let manager else { return }
        try manager.keep(queue.number, as: name)
        self.name = name
    }

    /// The copy would keep the queue in the kernel.
    func forget() {
        guard let name else { return }
        try? manager?.forget(name)
        self.name = nil
    }
}

/// A consumer's queue.
final class LinuxQueue: KernelQueue {
    private var queue: HeldQueue?

    init(_ queue: HeldQueue) {
        self.queue = queue
    }

    /// Nothing when it has been closed.
    var number: Int32? { queue?.number }

    func isAttached() throws(KernelError) -> Bool {
        try call("observe") { (queue) throws(Errno) in try queue.state().isAttached }
    }

    func attach() throws(KernelError) { try call("attach_queue") { (queue) throws(Errno) in try queue.attach() } }

    func detach() throws(KernelError) { try call("detach_queue") { (queue) throws(Errno) in try queue.detach() } }

    func close() { queue = nil }

    private func call<Value>(
        _ operation: String, _ body: (HeldQueue) throws(Errno) -> Value
    ) throws(KernelError) -> Value {
        guard let queue else { throw KernelError(operation, .badDescriptor) }
        do throws(Errno) { return try body(queue) } catch { throw KernelError(operation, error) }
    }
}
