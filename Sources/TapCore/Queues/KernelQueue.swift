/// Tapster's copy of a leased queue's descriptor. It keeps the queue open in the kernel until `close()`.
///
/// Used on the worker's thread only.
public protocol KernelQueue: AnyObject {
    /// Whether the kernel steers packets to it; the consumer may have changed that.
    ///
    /// - Throws: EBADFD if the device no longer exists.
    func isAttached() throws(KernelError) -> Bool
    /// Makes the kernel steer packets to it (`TUNSETQUEUE` with `IFF_ATTACH_QUEUE`).
    func attach() throws(KernelError)
    /// Makes the kernel discard the packets in the queue and steer no more to it (`IFF_DETACH_QUEUE`).
    func detach() throws(KernelError)
    /// Gives the device back to a user and keeps it after its last queue, since a consumer may have changed both.
    func restoreAccess(to owner: UInt32) throws(KernelError)
    /// Removes filters and programs of the whole device, and sets the send buffer of all attached queues, since a
    /// consumer may have changed both for others.
    ///
    /// - Parameter sendBuffer: `nil`: the kernel's default, which is unlimited.
    /// - Throws: EBADFD if the device no longer exists.
    func clearFilters(sendBuffer: SendBufferBytes?) throws(KernelError)
    /// Closes this copy only.
    func close()
}

/// The connection over which a consumer received its queues. It lives as long as the lease.
///
/// Used on the worker's thread only.
public protocol KernelConnection: AnyObject {
    /// Sends one message with the queues' descriptors (`SCM_RIGHTS`, unix(7)).
    ///
    /// - Throws: EPIPE if the consumer has closed the connection, EAGAIN if it does not read.
    func send(_ message: [UInt8], with queues: [any KernelQueue]) throws(KernelError)

    /// Shuts the connection down, even if another process holds copies of its descriptor (shutdown(2)).
    func close()
}

/// A few bytes that outlive the process but not the boot. The service manager keeps them together with the descriptors
/// that they describe.
public protocol KernelMemory: AnyObject {
    /// All bytes, those of earlier processes included.
    var contents: [UInt8] { get }
    /// - Throws: `KernelError` if the kernel or the service manager refuses.
    func append(_ bytes: [UInt8]) throws(KernelError)
    /// Replaces the contents atomically: the next process finds either the old or the new bytes.
    ///
    /// - Throws: `KernelError` if the kernel or the service manager refuses.
    func replace(with bytes: [UInt8]) throws(KernelError)
}

/// Descriptors that an earlier process of the service left with the service manager.
public struct KeptDescriptors {
    /// The descriptors of one lease.
    public struct Bundle {
        /// `nil` if the service manager did not return it.
        public var connection: (any KernelConnection)?
        /// In the order in which they were given to the service manager.
        public var queues: [any KernelQueue]

        public init(connection: (any KernelConnection)?, queues: [any KernelQueue]) {
            self.connection = connection
            self.queues = queues
        }
    }

    /// By the name under which they were kept.
    public var bundles: [String: Bundle] = [:]
    /// The names of descriptors that could not be used and have been closed.
    public var others: [String] = []

    public init() {}
}

/// How to open queues.
public struct QueueOpening: Hashable, Sendable {
    /// Must match the device's, or `TUNSETIFF` fails.
    public let flags: CreationFlags
    /// The number of queues to open.
    public let count: Int
    /// Whether the first attach turns the carrier on (otherwise `IFF_NO_CARRIER`).
    public let carrier: Bool
    /// What to set on the device before the consumer gets the queues; `nil` while other consumers use the device.
    public let settings: DescriptorSettings?
    /// For each queue; `nil`: the kernel's default, which is unlimited.
    public let sendBuffer: SendBufferBytes?
    /// The inode of the device's interface (see `KernelNamespace.inode`); `nil` if unknown.
    public let inode: UInt64?

    /// - Parameters:
    ///   - spec: The device's.
    ///   - inode: That of its claim.
    ///   - count: How many queues to open.
    ///   - setsDevice: Whether to set the settings that belong to the whole device.
    public init(_ spec: DeviceSpec, inode: UInt64? = nil, count: Int, setsDevice: Bool) {
        self.inode = inode
        flags = CreationFlags(spec)
        self.count = count
        carrier = spec.link.carrier != .off
        settings = setsDevice ? DescriptorSettings(spec) : nil
        sendBuffer = spec.sendBuffer
    }
}

/// The result of opening queues.
public struct OpenedQueues {
    /// All attached, in the order in which they were attached.
    public let queues: [any KernelQueue]
    /// In bytes, as the kernel reports it; `nil` without a vnet header.
    public let vnetHeaderSize: Int?

    public init(queues: [any KernelQueue], vnetHeaderSize: Int?) {
        self.queues = queues
        self.vnetHeaderSize = vnetHeaderSize
    }
}
