public import TapSystem

/// Notifications from a namespace. They say where to look, not what the state is.
public struct KernelSignals: Hashable, Sendable {
    /// Links for which there was a notification.
    public var touched: Set<LinkIndex> = []
    /// Links that were removed. Another link may have the number now.
    public var removed: Set<LinkIndex> = []
    /// Those of them that were moved to another namespace.
    public var moved: [LinkIndex: LinkMove] = [:]
    /// Links whose addresses were added or removed.
    public var readdressed: Set<LinkIndex> = []
    /// For each touched link, the fewest attached queues in any notification. A queue that was detached and attached
    /// again looks unchanged afterwards, but may have another kernel index.
    public var fewestQueues: [LinkIndex: Int] = [:]
    /// Notifications were lost (ENOBUFS); only a dump shows the state.
    public var wasOverrun = false

    public init() {}

    /// Adds later notifications.
    public mutating func merge(_ other: KernelSignals) {
        touched.formUnion(other.touched)
        removed.formUnion(other.removed)
        for index in other.removed { moved[index] = other.moved[index] }
        readdressed.formUnion(other.readdressed)
        fewestQueues.merge(other.fewestQueues, uniquingKeysWith: min)
        wasOverrun = wasOverrun || other.wasOverrun
    }
}

/// Events of a wait, other than the namespaces' own notifications.
public struct KernelEvents {
    /// Whether mounts have changed, so that namespaces may have been added or removed.
    public var haveMountsChanged = false
    /// Connections that the other side has closed.
    public var ended: [any KernelConnection] = []

    public init() {}
}

/// Ends a `Kernel.wait` from any thread.
public protocol Waker: Sendable {
    /// Makes the current or the next wait return.
    func wake()
}

/// The kernel as the worker uses it. Everything but `waker`, `holders` and `processors` is used on the worker's thread
/// only.
public protocol Kernel: AnyObject {
    /// May be used on any thread.
    var waker: any Waker { get }
    /// The daemon's user, which owns brokered devices.
    var daemonUser: UInt32 { get }
    /// The daemon's group, which replaces a group that a consumer has set on a brokered device.
    var daemonGroup: UInt32 { get }
    /// Of the tun driver.
    var features: KernelFeatures { get }

    /// Opens a namespace and subscribes to its notifications.
    ///
    /// - Parameter location: `nil`: the daemon's own namespace.
    /// - Returns: The namespace, which stays open until `leave()`.
    /// - Throws: `NamespaceFailure` if it does not exist or cannot be used.
    func open(_ location: NetworkNamespace?) throws(NamespaceFailure) -> any KernelNamespace

    /// Waits for a notification of a namespace, the end of a connection, a wake-up or the deadline.
    ///
    /// - Parameter deadline: If it has passed, the call does not wait; `nil`: no deadline.
    /// - Returns: The events other than the namespaces' notifications.
    /// - Throws: `KernelError` if waiting fails.
    func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelEvents

    /// Takes over a connected Unix socket; `wait` reports when the other side has closed it.
    ///
    /// - Parameter socket: Owned by the call, even if it fails.
    /// - Returns: The connection, which is monitored until it is closed.
    /// - Throws: `KernelError` if it cannot be monitored.
    func connection(owning socket: OwnedDescriptor) throws(KernelError) -> any KernelConnection

    /// Bytes that outlive this process; `nil` without a service manager that keeps descriptors.
    var memory: (any KernelMemory)? { get }

    /// Gives copies of a connection and of its queues to the service manager, which passes them to the next process of
    /// the service. Does nothing without a service manager.
    ///
    /// - Parameters:
    ///   - connection: The connection.
    ///   - queues: Its queues; their order is preserved.
    ///   - name: The name in `restoreKept()` and for `forget`.
    /// - Throws: `KernelError` if the service manager refuses them or has no room.
    func keep(_ connection: any KernelConnection, _ queues: [any KernelQueue], as name: String) throws(KernelError)

    /// Makes the service manager close its copies.
    func forget(_ name: String, queues: Int)

    /// The descriptors that an earlier process left, except anchors, which their namespaces take over. Call it once,
    /// after all namespaces have been opened.
    func restoreKept() -> KeptDescriptors

    /// May be used on any thread.
    var holders: any DescriptorHolderSource { get }
    /// May be used on any thread.
    var processors: any ProcessorSource { get }
}

/// The CPUs of the host.
public protocol ProcessorSource: Sendable {
    /// The numbers of the CPUs that are online; `nil` if they cannot be read. It does not wait.
    func online() -> Set<Int>?
}

/// Finds who holds descriptors of tap and tun devices.
public protocol DescriptorHolderSource: Sendable {
    /// The processes that hold descriptors of interfaces with these names, in any namespace, as far as the daemon has
    /// permission to see them. It reads files of every process, which takes long on a large host.
    func holders(of names: Set<String>) -> [String: [DescriptorHolder]]
}

/// A process that holds descriptors of a tap or tun device.
public struct DescriptorHolder: Hashable, Sendable {
    /// Process ID.
    public let process: Int32
    /// The process's effective user; `nil` if it cannot be read.
    public let user: UInt32?
    /// The process's name (`/proc/PID/comm`); `nil` if it cannot be read.
    public let command: String?
    /// How many it holds.
    public let descriptors: Int

    public init(process: Int32, user: UInt32?, command: String?, descriptors: Int) {
        self.process = process
        self.user = user
        self.command = command
        self.descriptors = descriptors
    }
}

/// Steps to do on one device, and their progress.
public struct StepRun: Sendable {
    /// The device's.
    public let name: DeviceName
    /// The interface's number; `nil` before `create`.
    public var index: LinkIndex?
    /// Any steps except `claim`, `forget` and `delete`.
    public let steps: [Step]
    /// The number of steps done.
    public var done = 0
    /// The error of the next step; `nil` if none has failed.
    public var failure: KernelError?

    public init(_ steps: some Sequence<Step>, on name: DeviceName, at index: LinkIndex?) {
        self.name = name
        self.index = index
        self.steps = Array(steps)
    }

    /// The step to do next; `nil` at the end or after a failure.
    public var next: Step? { failure == nil && done < steps.count ? steps[done] : nil }
}

/// An open network namespace.
public protocol KernelNamespace: AnyObject {
    /// The boot and the namespace.
    var host: NamespaceIdentity { get }
    /// Devices of which Tapster holds a detached descriptor.
    var anchored: Set<LinkIndex> { get }

    /// Whether the location still refers to this namespace.
    var isCurrent: Bool { get }

    /// Why the daemon can manage no interface in this namespace: a capability or `/dev/net/tun` is missing. `nil` if it
    /// can.
    ///
    /// - Throws: `KernelError` if that cannot be told now.
    func missingAbility() throws(KernelError) -> KernelError?

    /// The notifications since the last call. Does not wait.
    ///
    /// - Throws: `KernelError` if the notification socket fails.
    func signals() throws(KernelError) -> KernelSignals

    /// Every interface.
    func links() throws(KernelError) -> [ObservedLink]

    /// The existing ones of the given interfaces. `count` is the approximate number of all interfaces in the namespace,
    /// by which the call chooses between single requests and a dump.
    func links(at indexes: [LinkIndex], outOf count: Int) throws(KernelError) -> [ObservedLink]

    /// The inode of a link's directory in sysfs (`/sys/class/net/NAME`). It stays when the link is renamed, and no
    /// other link gets it before the next boot.
    ///
    /// - Parameters:
    ///   - link: The link as just read.
    ///   - expected: The likely inode, for which one system call suffices.
    /// - Returns: `nil` if there is no such link, or the daemon cannot read a sysfs that shows its namespace.
    func inode(of link: ObservedLink, expecting expected: UInt64?) -> UInt64?

    /// Waits until the kernel has removed a link that it does not list any more, and has sent the notifications about
    /// it: a link that is moved is no longer listed for some milliseconds before the kernel says where it went.
    ///
    /// - Throws: `KernelError`; the notifications may still come.
    func finishRemoval(of index: LinkIndex) throws(KernelError)

    /// A link that was moved from this namespace to another one, which need not be open.
    ///
    /// - Returns: `nil` if it is no longer there.
    /// - Throws: `KernelError` if the daemon has no right over the other namespace, or the kernel does not support it.
    func link(movedTo place: LinkMove) throws(KernelError) -> ObservedLink?

    /// Deletes a link that was moved from this namespace to another one. One that does not exist is not an error.
    ///
    /// - Throws: `KernelError` as `link(movedTo:)` does.
    func delete(movedTo place: LinkMove) throws(KernelError)

    /// A source of the interfaces' counters with a socket of its own, usable on any thread while this object is busy.
    ///
    /// - Throws: `KernelError` if no socket can be opened.
    func statistics() throws(KernelError) -> any LinkStatisticsSource

    /// The settings that a new interface gets; `nil` if they cannot be read.
    func ipDefaults() -> IPSettings?

    /// Every address of every interface.
    func addresses() throws(KernelError) -> [LinkIndex: [ObservedAddress]]

    /// The descriptor settings of a device that Tapster did not make; `nil` values where reading would disturb it.
    func settings(of link: ObservedLink) -> DescriptorSettings

    /// Does the steps of each run in order, and ends a run at its first failure. If the device is not persistent by
    /// then, the kernel removes it. Consecutive link changes, of one device and of many, share one send, so those after
    /// a refused one are done nevertheless.
    ///
    /// - Parameters:
    ///   - runs: The steps; updated with their progress.
    ///   - before: Called before each step.
    func perform(_ runs: inout [StepRun], before: (Step) -> Void)

    /// Deletes the devices, many with one system call. A device that does not exist is not an error.
    ///
    /// - Returns: The devices that still exist, with the reason.
    func delete(_ indexes: [LinkIndex]) -> [LinkIndex: KernelError]

    /// Shows the host's other programs that the interface is Tapster's. `create` does that too.
    func mark(_ link: ObservedLink)

    /// Closes the descriptor that an unfinished plan has left open. The kernel removes the device if it is not
    /// persistent yet. Ends its mark.
    func abandon(_ index: LinkIndex)

    /// Opens queues for a consumer and attaches them; after an error none is open.
    ///
    /// - Throws: `KernelError`: ENODEV if the device does not exist, EBUSY if its only queue is in use, E2BIG at 256
    ///   queues, EBADMSG if the kernel does not report the settings that were made.
    func openQueues(of index: LinkIndex, _ opening: QueueOpening) throws(KernelError) -> OpenedQueues

    /// Sets the CPUs that process packets from the queue at `kernelIndex` (`rps_cpus`). Empty: the kernel's default,
    /// the CPU of the sender.
    ///
    /// - Throws: `KernelError` if the kernel refuses it.
    func setReceiveCPUs(_ cpus: [Int], of index: LinkIndex, at kernelIndex: Int) throws(KernelError)

    /// Closes all descriptors of the namespace; the object is not used afterwards.
    func leave()
}
