public import TapSystem

/// What was heard of a namespace. A hint where to look, never the truth about what is there.
public struct KernelSignals: Hashable, Sendable {
    /// Links about which the kernel said something.
    public var touched: Set<LinkIndex> = []
    /// Links whose addresses came or went.
    public var readdressed: Set<LinkIndex> = []
    /// Of touched links, the fewest attached queues that one had at any time: what was toggled twice looks the same
    /// afterwards, but may be in another place.
    public var fewestQueues: [LinkIndex: Int] = [:]
    /// Notifications were lost (ENOBUFS): only a dump tells what happened.
    public var wasOverrun = false

    public init() {}

    public mutating func merge(_ other: KernelSignals) {
        touched.formUnion(other.touched)
        readdressed.formUnion(other.readdressed)
        fewestQueues.merge(other.fewestQueues, uniquingKeysWith: min)
        wasOverrun = wasOverrun || other.wasOverrun
    }
}

/// What a wait has brought, beside what namespaces tell themselves.
public struct KernelNews {
    /// Namespaces may have come or gone.
    public var haveMountsChanged = false
    /// Connections whose other side has closed them.
    public var ended: [any KernelConnection] = []

    public init() {}
}

/// Ends a `Kernel.wait` from any thread.
public protocol Waker: Sendable {
    func wake()
}

/// The kernel's side of the reconciler. Used by one thread only, but for `waker`.
public protocol Kernel: AnyObject {
    var waker: any Waker { get }
    /// The user that owns brokered devices: the daemon's own.
    var daemonUser: UInt32 { get }
    var features: KernelFeatures { get }

    /// Enters a namespace, with a monitor of its own; nothing means the daemon's.
    ///
    /// - Throws: `NamespaceFailure` when there is none, or it cannot be worked in.
    func open(_ location: NetworkNamespace?) throws(NamespaceFailure) -> any KernelNamespace

    /// Waits until a namespace has something to tell, for a wake-up or for the deadline.
    ///
    /// - Parameter deadline: When to return at the latest; in the past, it looks without waiting.
    /// - Returns: What happened beside the namespaces' own news.
    /// - Throws: `KernelError` when it cannot be waited.
    func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelNews

    /// Takes over a connected Unix socket, and tells in `wait` when its other side has closed it.
    ///
    /// - Parameter socket: Owned from here on, in failure too.
    /// - Returns: The connection, which is watched until it is closed.
    /// - Throws: `KernelError` when it cannot be watched.
    func connection(owning socket: OwnedDescriptor) throws(KernelError) -> any KernelConnection

    /// Bytes that outlive this process; nothing without a service manager that keeps descriptors.
    var memory: (any KernelMemory)? { get }

    /// Gives copies of a connection and of its queues to the service manager, if there is one, who hands them to the
    /// next process of the service.
    ///
    /// - Parameters:
    ///   - connection: The connection.
    ///   - queues: Its queues, in an order that is kept.
    ///   - name: By which they come back, and are forgotten.
    /// - Throws: `KernelError` when the service manager does not take them, or has no room.
    func keep(_ connection: any KernelConnection, _ queues: [any KernelQueue], as name: String) throws(KernelError)

    /// Has the service manager close its copies.
    func forget(_ name: String, queues: Int)

    /// What a former process left, but for anchors: those are taken by their namespaces. To be called once, after all
    /// namespaces are entered.
    func takeKept() -> KeptDescriptors

    /// Who holds descriptors of interfaces with these names, in any namespace, as far as the daemon may see.
    func holders(of names: Set<String>) -> [String: [DescriptorHolder]]
}

/// A process that holds descriptors of a tap or tun device.
public struct DescriptorHolder: Hashable, Sendable {
    public let process: Int32
    public let command: String
    public let descriptors: Int

    public init(process: Int32, command: String, descriptors: Int) {
        self.process = process
        self.command = command
        self.descriptors = descriptors
    }
}

/// Steps to do on one device, and how far they came.
public struct StepRun: Sendable {
    public let name: DeviceName
    /// The device's number; nothing before `create`.
    public var index: LinkIndex?
    /// Any but `claim`, `forget` and `delete`.
    public let steps: [Step]
    /// How many are done.
    public var done = 0
    /// Why the next one failed.
    public var failure: KernelError?

    public init(_ steps: some Sequence<Step>, on name: DeviceName, at index: LinkIndex?) {
        self.name = name
        self.index = index
        self.steps = Array(steps)
    }

    /// The step to do next, if nothing has failed.
    public var next: Step? { failure == nil && done < steps.count ? steps[done] : nil }
}

/// One network namespace, until it is let go.
public protocol KernelNamespace: AnyObject {
    var host: HostIdentity { get }
    /// Devices of which a detached descriptor is held.
    var anchored: Set<LinkIndex> { get }

    /// Whether its location still leads here.
    var isCurrent: Bool { get }

    /// What was heard since the last call, without waiting.
    ///
    /// - Throws: `KernelError` when the monitor is broken.
    func signals() throws(KernelError) -> KernelSignals

    /// Every interface.
    func links() throws(KernelError) -> [ObservedLink]

    /// Those of the given interfaces that exist; `count`, the number of all, more or less, says how best to ask.
    func links(at indexes: [LinkIndex], outOf count: Int) throws(KernelError) -> [ObservedLink]

    /// A way to the interfaces' counters that stays when this object is busy, and is closed when nobody has it.
    ///
    /// - Throws: `KernelError` when there is no descriptor for it.
    func statistics() throws(KernelError) -> any LinkStatisticsSource

    /// Every address of every interface.
    func addresses() throws(KernelError) -> [LinkIndex: [ObservedAddress]]

    /// What only descriptors tell of a device of others; nothing where it cannot be told without disturbing it.
    func settings(of link: ObservedLink) -> DescriptorSettings

    /// Does the steps of each run in their order, and stops a run at its first failure. A device that is not yet
    /// persistent by then is gone again. Link changes of many devices share a send, and those of one that follow each
    /// other do too: behind a refused one, they are done all the same.
    ///
    /// - Parameters:
    ///   - runs: What to do; it tells afterwards how far it came.
    ///   - before: Called before each step.
    func perform(_ runs: inout [StepRun], before: (Step) -> Void)

    /// Deletes the devices, many in one call. Those that are gone already are no failure.
    ///
    /// - Returns: Which are still there, and why.
    func delete(_ indexes: [LinkIndex]) -> [LinkIndex: KernelError]

    /// Lets go of a descriptor that a half-done plan left open; an unclaimed device vanishes with it.
    func abandon(_ index: LinkIndex)

    /// Opens queues for a consumer: all of them, attached, or none.
    ///
    /// - Throws: `KernelError`: ENODEV when the device is gone, EBUSY when its only queue is taken, E2BIG at 256
    ///   queues, EBADMSG when the kernel does not show what was set.
    func openQueues(of index: LinkIndex, _ opening: QueueOpening) throws(KernelError) -> OpenedQueues

    /// Which CPUs take the packets that come from the queue which is now at `kernelIndex` (`rps_cpus`); none is the
    /// kernel's default, the CPU of the sender.
    func setReceiveCPUs(_ cpus: [Int], of index: LinkIndex, at kernelIndex: Int) throws(KernelError)

    /// Lets go of all that is held here, for good: the namespace is gone, or nobody needs it.
    func leave()
}
