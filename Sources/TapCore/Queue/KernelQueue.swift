/// One queue of a device, open for a consumer. It stays open, and with it the queue in the kernel, until `close()`.
///
/// Used on the worker's thread only.
public protocol KernelQueue: AnyObject {
    /// Whether the kernel steers packets to it; its consumer may have changed that.
    ///
    /// - Throws: EBADFD when the device is gone.
    func isAttached() throws(KernelError) -> Bool
    func attach() throws(KernelError)
    /// The kernel throws away what waits in the queue, and steers nothing to it any more.
    func detach() throws(KernelError)
    func close()
}

/// The connection on which queues were handed over. It lives as long as the lease.
///
/// Used on the worker's thread only.
public protocol KernelConnection: AnyObject {
    /// Sends one message, and the queues' descriptors with it (`SCM_RIGHTS`, unix(7)).
    ///
    /// - Throws: EPIPE when nobody is there any more, EAGAIN when he does not read.
    func send(_ message: [UInt8], with queues: [any KernelQueue]) throws(KernelError)

    /// Ends it for the other side too, whoever has copies.
    func close()
}

/// A few bytes that outlive the process, but not the boot: with the service manager, like the descriptors to which they
/// belong.
public protocol KernelMemory: AnyObject {
    var contents: [UInt8] { get }
    func append(_ bytes: [UInt8]) throws(KernelError)
    /// Either the old contents are found by the next process, or the new ones.
    func replace(with bytes: [UInt8]) throws(KernelError)
}

/// What a former process of the service left with the service manager.
public struct KeptDescriptors {
    /// What was kept together, by its name.
    public struct Bundle {
        /// Nothing when it did not come back.
        public var connection: (any KernelConnection)?
        /// In the order in which they were kept.
        public var queues: [any KernelQueue]

        public init(connection: (any KernelConnection)?, queues: [any KernelQueue]) {
            self.connection = connection
            self.queues = queues
        }
    }

    public var bundles: [String: Bundle] = [:]
    /// The names of what was of no use, and has been closed.
    public var others: [String] = []

    public init() {}
}

/// How queues shall be opened.
public struct QueueOpening: Hashable, Sendable {
    public let flags: CreationFlags
    public let count: Int
    /// Whether the kernel may turn the carrier on with the first attach.
    public let carrier: Bool
    /// What is set on the device before anybody gets the queues; nothing where others use it already.
    public let settings: DescriptorSettings?
    /// For each queue; nothing leaves the kernel's own, which is unlimited.
    public let sendBuffer: SendBufferBytes?

    public init(_ spec: DeviceSpec, count: Int, setsDevice: Bool) {
        flags = CreationFlags(spec)
        self.count = count
        carrier = spec.link.carrier != .off
        settings = setsDevice ? DescriptorSettings(spec) : nil
        sendBuffer = spec.sendBuffer
    }
}

/// Queues that have been opened.
public struct OpenedQueues {
    /// All attached, in the order of their attachment.
    public let queues: [any KernelQueue]
    /// As the kernel tells it; nothing without a vnet header.
    public let vnetHeaderSize: Int?

    public init(queues: [any KernelQueue], vnetHeaderSize: Int?) {
        self.queues = queues
        self.vnetHeaderSize = vnetHeaderSize
    }
}
