internal import CLinux
internal import Glibc
public import TapCore

/// The kernel itself: tun ioctls and rtnetlink, in the network namespace of the thread that uses it and in others.
public final class LinuxKernel: Kernel {
    public let daemonUser: UInt32
    public let features: KernelFeatures

    public let memory: (any KernelMemory)?

    private let loop: EventLoop
    private let boot: String
    private let manager: ServiceManager?
    /// What came back from the service manager and has found no place yet.
    private var kept: [String: OwnedDescriptor] = [:]
    /// Until they are closed.
    private var connections: [Int32: LinuxConnection] = [:]

    /// - Parameters:
    ///   - manager: The service manager that keeps descriptors, if there is one.
    ///   - kept: What it has kept, by name.
    /// - Throws: `KernelError` when `/proc` and `/dev/net/tun` are not what they should be.
    public init(manager: ServiceManager? = nil, kept: [String: OwnedDescriptor] = [:]) throws(KernelError) {
        var kept = kept
        memory = manager.map { MemoryFile(&kept, manager: $0) }
        self.manager = manager
        self.kept = kept
        do throws(Errno) {
            loop = try EventLoop()
            boot = try Self.bootIdentifier()
            features = try TunQueue.features()
        } catch {
            throw KernelError("open", error, advice: TunQueue.advice(error))
        }
        daemonUser = geteuid()
    }

    public var waker: any Waker { loop.waker }

    public func open(_ location: NetworkNamespace?) throws(NamespaceFailure) -> any KernelNamespace {
        let namespace = try LinuxNamespace(location, boot: boot, manager: manager, kept: &kept)
        do throws(Errno) {
            try loop.watch(namespace.monitorNumber)
        } catch {
            throw .unusable(KernelError("open_namespace", error))
        }
        return namespace
    }

    public func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelNews {
        var news = KernelNews()
        do throws(Errno) {
            for number in try loop.wait(until: deadline) {
                if number == loop.mountsNumber { news.haveMountsChanged = true }
                if let connection = connections[number] { news.ended.append(connection) }
            }
        } catch {
            throw KernelError("wait", error)
        }
        return news
    }

    public func connection(owning socket: Int32) throws(KernelError) -> any KernelConnection {
        try watch(FileDescriptor(owning: socket), keptAs: nil)
    }

    private func watch(
        _ socket: consuming FileDescriptor, keptAs name: String?
    ) throws(KernelError) -> LinuxConnection {
        let number = socket.number
        let connection = LinuxConnection(socket, manager: manager, keptAs: name) { [weak self] number in
            self?.loop.unwatch(number)
            self?.connections[number] = nil
        }
        do throws(Errno) {
            // What the other side says is not for us, so it is not waited for: only for its end.
            try loop.watch(number, events: EPOLLRDHUP.rawValue)
        } catch {
            throw KernelError("watch", error)
        }
        connections[number] = connection
        return connection
    }

    public func takeKept() -> KeptDescriptors {
        var taken = KeptDescriptors()
        for (name, descriptor) in kept {
            kept[name] = nil
            switch KeptDescriptor(descriptor) {
            // An anchor that no namespace has taken: its device is gone, or nobody wants it, and it would keep it alive.
            case .queue where !name.hasPrefix(LinuxNamespace.anchorPrefix):
                let queue = TunQueue(owning: FileDescriptor(owning: descriptor.take()))
                taken.queues[name] = LinuxQueue(HeldQueue(queue, manager: manager, keptAs: name))
            case .socket:
                taken.connections[name] = try? watch(FileDescriptor(owning: descriptor.take()), keptAs: name)
            case .queue, .other:
                taken.others.append(name)
                try? manager?.forget(name)
            }
        }
        return taken
    }

    public func holders(of names: Set<String>) -> [String: [DescriptorHolder]] { DescriptorHolders.find(names) }

    private static func bootIdentifier() throws(Errno) -> String {
        let file = try FileDescriptor(opening: "/proc/sys/kernel/random/boot_id", flags: O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 64)
        let number = file.number
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        let count = try systemCall { unsafe read(number, &bytes, 64) }
        return String(decoding: bytes[0..<count].prefix(while: { $0 > 0x20 }), as: UTF8.self)
    }
}
