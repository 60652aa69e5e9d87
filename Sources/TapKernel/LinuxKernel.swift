internal import CLinux
internal import Glibc
public import TapCore
public import TapSystem

/// The real kernel: tun ioctls and rtnetlink, in the network namespace of the thread that uses it and in others.
public final class LinuxKernel: Kernel {
    /// The process's effective user.
    public let daemonUser: UInt32
    /// The effective group.
    public let daemonGroup: UInt32
    /// The tun driver's features (`TUNGETFEATURES`).
    public let features: KernelFeatures

    /// A `memfd` that the service manager keeps a copy of; `nil` without a service manager.
    public let memory: (any KernelMemory)?

    private let loop: EventLoop
    private let boot: String
    private let manager: ServiceManager?
    private let marks: InterfaceMarks?
    /// Descriptors from the service manager that are not taken over yet, by name.
    private var kept: [String: OwnedDescriptor] = [:]
    /// The connections that are not closed yet, by descriptor.
    private var connections: [Int32: LinuxConnection] = [:]

    /// - Parameters:
    ///   - manager: The service manager that keeps descriptors; `nil` if there is none.
    ///   - marks: Where the interfaces in the daemon's own network namespace are marked; `nil` if they are not.
    ///   - kept: The descriptors that it has kept, by name.
    /// - Throws: `KernelError` if a file in `/proc` or `/dev/net/tun` cannot be used.
    public init(
        manager: ServiceManager? = nil, marks: InterfaceMarks? = nil, kept: [String: OwnedDescriptor] = [:]
    ) throws(KernelError) {
        var kept = kept
        memory = manager.map { MemoryFile(&kept, manager: $0) }
        self.manager = manager
        self.marks = marks
        self.kept = kept
        do throws(Errno) {
            loop = try EventLoop()
            boot = try Self.bootIdentifier()
            features = try TunQueue.features()
        } catch {
            throw KernelError("open", error, advice: TunQueue.advice(error))
        }
        daemonUser = geteuid()
        daemonGroup = getegid()
    }

    /// Writes to an eventfd(2) that `wait` watches.
    public var waker: any Waker { loop.waker }

    /// Opens the namespace and has `wait` watch its link monitor.
    public func open(_ location: NetworkNamespace?) throws(NamespaceFailure) -> any KernelNamespace {
        let namespace = try LinuxNamespace(
            location, boot: boot, manager: manager, marks: location == nil ? marks : nil, kept: &kept)
        do throws(Errno) {
            try loop.watch(namespace.monitorNumber)
        } catch {
            throw .unusable(KernelError("open_namespace", error))
        }
        return namespace
    }

    /// Waits in epoll_wait(2). Before that, it repeats removals that the service manager has not accepted.
    public func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelEvents {
        var news = KernelEvents()
        // The worker waits again at least once per resync, so these are repeated at least as often.
        manager?.dropForgotten()
        do throws(Errno) {
            for number in try loop.wait(until: deadline) {
                if number == loop.mountsNumber { news.haveMountsChanged = true }
                if let connection = connections[number], connection.hasEnded() { news.ended.append(connection) }
            }
        } catch {
            throw KernelError("wait", error)
        }
        return news
    }

    /// Watches the socket for input and for a hang-up (`EPOLLRDHUP`).
    public func connection(owning socket: OwnedDescriptor) throws(KernelError) -> any KernelConnection {
        try watch(FileDescriptor(owning: socket.take()))
    }

    private func watch(_ socket: consuming FileDescriptor) throws(KernelError) -> LinuxConnection {
        let number = socket.number
        let connection = LinuxConnection(socket) { [weak self] number in
            self?.loop.unwatch(number)
            self?.connections[number] = nil
        }
        do throws(Errno) {
            try loop.watch(number, events: EPOLLIN.rawValue | EPOLLRDHUP.rawValue)
        } catch {
            throw KernelError("watch", error)
        }
        connections[number] = connection
        return connection
    }

    /// Stores the connection and its queues as bundles, named `name`, `name+1` and so on. No effect without a manager.
    public func keep(
        _ connection: any KernelConnection, _ queues: [any KernelQueue], as name: String
    ) throws(KernelError) {
        guard let manager else { return }
        do throws(Errno) {
            guard let connection = connection as? LinuxConnection else { throw .badDescriptor }
            let numbers = [connection.number] + queues.compactMap { ($0 as? TunQueue)?.number }
            for (part, first) in DescriptorBundle.parts(of: numbers.count).enumerated() {
                let bundle = try DescriptorBundle(numbers[first...].prefix(DescriptorBundle.descriptorsMax))
                try manager.keep(bundle.number, as: Self.name(name, part: part))
            }
        } catch {
            throw KernelError("keep_descriptors", error)
        }
    }

    /// Has the service manager drop the bundles of a connection with so many queues.
    public func forget(_ name: String, queues: Int) {
        for part in DescriptorBundle.parts(of: 1 + queues).indices {
            try? manager?.forget(Self.name(name, part: part))
        }
    }

    /// The first bundle has the bare name: most leases have one bundle, and the room for all names together is small.
    private static func name(_ name: String, part: Int) -> String { part == 0 ? name : "\(name)+\(part)" }

    /// Unpacks the bundles. Has the service manager drop all descriptors that are not in a complete bundle.
    public func restoreKept() -> KeptDescriptors {
        var taken = KeptDescriptors()
        for name in kept.keys.sorted() where !name.contains("+") {
            var descriptors: [OwnedDescriptor] = []
            var part = 0
            while let bundle = kept.removeValue(forKey: Self.name(name, part: part)) {
                descriptors += DescriptorBundle.contents(of: bundle)
                // The caller of `init` may hold this object for the life of the process, and the queues with it.
                bundle.close()
                part += 1
            }
            guard let first = descriptors.first else {
                // Not a bundle, or an anchor that no namespace has taken: its device is gone or not wanted any more.
                discard(name, into: &taken)
                continue
            }
            taken.bundles[name] = .init(
                connection: try? watch(FileDescriptor(owning: first.take())),
                queues: descriptors.dropFirst().map { TunQueue(taking: $0) })
        }
        for name in kept.keys { discard(name, into: &taken) }
        kept = [:]
        return taken
    }

    private func discard(_ name: String, into taken: inout KeptDescriptors) {
        try? manager?.forget(name)
        kept[name]?.close()
        taken.others.append(name)
    }

    /// Searches `/proc/PID/fdinfo` of all processes that the daemon may read.
    public var holders: any DescriptorHolderSource { ProcessTable() }

    /// Reads sysfs.
    public var processors: any ProcessorSource { OnlineProcessors() }

    private static func bootIdentifier() throws(Errno) -> String {
        let file = try FileDescriptor(opening: "/proc/sys/kernel/random/boot_id", flags: O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 64)
        let number = file.number
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        let count = try systemCall { unsafe read(number, &bytes, 64) }
        return String(decoding: bytes[0..<count].prefix(while: { $0 > 0x20 }), as: UTF8.self)
    }
}
