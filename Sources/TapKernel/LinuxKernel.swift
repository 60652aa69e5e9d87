internal import CLinux
internal import Glibc
public import TapCore

/// The kernel itself: tun ioctls and rtnetlink in the network namespace of the thread that made this object.
public final class LinuxKernel: Kernel {
    public let host: HostIdentity
    public let daemonUser: UInt32
    public private(set) var anchored: Set<LinkIndex> = []

    private let netlink: NetlinkSocket
    private let monitor: LinkMonitor
    private let loop: EventLoop
    /// Anchors, and the descriptor of the device whose plan runs just now.
    private var held: [LinkIndex: HeldQueue] = [:]

    /// - Throws: `KernelError` when sockets cannot be opened, or `/proc` and `/dev/net/tun` are not what they should be.
    public init() throws(KernelError) {
        do throws(Errno) {
            netlink = try NetlinkSocket()
            monitor = try LinkMonitor()
            loop = try EventLoop()
            try loop.watch(monitor.number)
            var cookie: UInt64 = 0
            try systemCall { [netlink] in unsafe clinux_namespace_cookie(netlink.number, &cookie) }
            host = HostIdentity(boot: try Self.bootIdentifier(), namespace: cookie)
        } catch {
            throw KernelError("open", error)
        }
        daemonUser = geteuid()
    }

    public var waker: any Waker { loop.waker }

    public func links() throws(KernelError) -> [ObservedLink] {
        do throws(NetlinkRefusal) { return try netlink.dump() } catch { throw KernelError("observe", error) }
    }

    public func links(at indexes: [LinkIndex]) throws(KernelError) -> [ObservedLink] {
        do throws(NetlinkRefusal) { return try netlink.get(indexes) } catch { throw KernelError("observe", error) }
    }

    public func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelSignals {
        var signals = KernelSignals()
        do throws(Errno) {
            try loop.wait(until: deadline)
            try monitor.drain(into: &signals)
        } catch {
            throw KernelError("wait", error)
        }
        return signals
    }

    public func perform(
        _ steps: some Sequence<Step>, on name: DeviceName, at index: LinkIndex?
    ) throws(KernelError) -> LinkIndex? {
        var index = index
        do throws(KernelError) {
            try perform(steps, on: name, at: &index)
        } catch {
            // A descriptor left open would be a queue that nobody reads; with it goes a device that is not claimed yet.
            if let index, !anchored.contains(index) { held[index] = nil }
            throw error
        }
        return index
    }

    private func perform(
        _ steps: some Sequence<Step>, on name: DeviceName, at index: inout LinkIndex?
    ) throws(KernelError) {
        for step in steps {
            if let index, let request = LinkRequest(step, on: index) {
                try change(step, request)
                continue
            }
            do throws(Errno) {
                index = try performOnDescriptor(step, name: name, index: index)
            } catch {
                throw KernelError(step.name, error, advice: Self.advice(for: step, error))
            }
        }
    }

    public func abandon(_ index: LinkIndex) {
        held[index] = nil
        anchored.remove(index)
    }

    private func change(_ step: Step, _ request: LinkRequest) throws(KernelError) {
        do throws(NetlinkRefusal) {
            try netlink.change(request)
        } catch {
            // Somebody else was faster: the device is gone, and that is what was wanted.
            if step == .delete, error.errno == .noDevice { return }
            throw KernelError(step.name, error)
        }
    }

    private func performOnDescriptor(_ step: Step, name: DeviceName, index: LinkIndex?) throws(Errno) -> LinkIndex? {
        if case .create(let flags) = step {
            let queue = HeldQueue(try TunQueue(creating: name, flags: flags))
            let created = try self.index(of: name.text)
            held[created] = queue
            return created
        }
        guard let index else { throw .noDevice }
        switch step {
        case .attach(let flags, let carrier): try attach(to: index, flags, carrier: carrier)
        case .release: abandon(index)
        case .setOwner(let user): try queue(index).setOwner(user)
        case .setGroup(let group): try queue(index).setGroup(group)
        case .setVnetHeaderSize(let size): try queue(index).setVnetHeaderSize(size)
        case .setOffloads(let offloads): try queue(index).setOffloads(offloads)
        case .persist: try queue(index).persist()
        case .setCarrier(let on): try queue(index).setCarrier(on)
        case .anchor:
            try queue(index).detach()
            anchored.insert(index)
        case .create, .claim, .forget, .delete, .setLink, .setQueueDiscipline: throw .invalid
        }
        return index
    }

    private func attach(to index: LinkIndex, _ flags: CreationFlags, carrier: Bool) throws(Errno) {
        let name = try name(of: index)
        let queue = HeldQueue(try TunQueue(attachingTo: name, flags: flags, carrier: carrier))
        // The device may have gone between the two calls; then this queue has made another one, which goes with it.
        guard try self.index(of: name) == index else { throw .noDevice }
        held[index] = queue
    }

    private func queue(_ index: LinkIndex) throws(Errno) -> HeldQueue {
        guard let queue = held[index] else { throw .noDevice }
        return queue
    }

    private func index(of name: String) throws(Errno) -> LinkIndex {
        var index: Int32 = 0
        let socket = netlink.number
        try systemCall { unsafe clinux_interface_index(socket, name, &index) }
        return LinkIndex(rawValue: index)
    }

    private func name(of index: LinkIndex) throws(Errno) -> String {
        var bytes = [CChar](repeating: 0, count: DeviceName.bytesMax + 1)
        let socket = netlink.number
        let number = index.rawValue
        // SAFETY: the shim writes IFNAMSIZ bytes.
        let result: Int32 = unsafe clinux_interface_name(socket, number, &bytes)
        guard result == 0 else { throw Errno(rawValue: clinux_errno()) }
        let text: [UInt8] = bytes.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func bootIdentifier() throws(Errno) -> String {
        let file = try FileDescriptor(opening: "/proc/sys/kernel/random/boot_id", flags: O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 64)
        let number = file.number
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        let count = try systemCall { unsafe read(number, &bytes, 64) }
        return String(decoding: bytes[0..<count].prefix(while: { $0 > 0x20 }), as: UTF8.self)
    }

    private static func advice(for step: Step, _ errno: Errno) -> String? {
        switch (step, errno) {
        case (.create, .busy), (.create, .exists):
            "an interface of this name exists, perhaps since this moment"
        case (.create, .noPermission): "the daemon needs CAP_NET_ADMIN"
        case (.create, .accessDenied), (.attach, .accessDenied):
            "the daemon's user may not open /dev/net/tun; udev's default mode is 0666"
        case (.create, .noEntry), (.create, .noDevice):
            "/dev/net/tun is missing; load the module with 'modprobe tun'"
        case (.attach, .busy): "another process holds the only queue of this single-queue device"
        case (_, .tooManyOpenFiles): "raise the limit of open files (LimitNOFILE=)"
        case (_, .badMessage): "the kernel took the value and then showed another one"
        default: nil
        }
    }
}

/// A queue that a collection may hold.
private final class HeldQueue {
    private let queue: TunQueue

    init(_ queue: consuming TunQueue) {
        self.queue = queue
    }

    func persist() throws(Errno) { try queue.persist() }
    func setOwner(_ user: UInt32) throws(Errno) { try queue.setOwner(user) }
    func setGroup(_ group: UInt32) throws(Errno) { try queue.setGroup(group) }
    func setOffloads(_ offloads: Offloads) throws(Errno) { try queue.setOffloads(offloads) }
    func setVnetHeaderSize(_ size: VnetHeaderSize) throws(Errno) { try queue.setVnetHeaderSize(size) }
    func detach() throws(Errno) { try queue.detach() }
    func setCarrier(_ on: Bool) throws(Errno) { try queue.setCarrier(on) }
}

extension LinkRequest {
    /// The rtnetlink form of a step, for those that have one.
    fileprivate init?(_ step: Step, on index: LinkIndex) {
        switch step {
        case .setLink(let change): self = .change(index, change)
        case .setQueueDiscipline(let discipline): self = .queueDiscipline(index, discipline)
        case .delete: self = .delete(index)
        default: return nil
        }
    }
}

extension KernelError {
    fileprivate init(_ operation: String, _ refusal: NetlinkRefusal) {
        self.init(operation, refusal.errno, advice: refusal.message)
    }
}
