internal import CLinux
internal import Glibc
public import TapCore
public import TapSystem

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
        // A resync comes at the latest.
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

    public func forget(_ name: String, queues: Int) {
        for part in DescriptorBundle.parts(of: 1 + queues).indices {
            try? manager?.forget(Self.name(name, part: part))
        }
    }

    /// Most leases are of one part, and the names of all that is kept have little room together.
    private static func name(_ name: String, part: Int) -> String { part == 0 ? name : "\(name)+\(part)" }

    public func takeKept() -> KeptDescriptors {
        var taken = KeptDescriptors()
        for name in kept.keys.sorted() where !name.contains("+") {
            var descriptors: [OwnedDescriptor] = []
            var part = 0
            while let bundle = kept.removeValue(forKey: Self.name(name, part: part)) {
                descriptors += DescriptorBundle.contents(of: bundle)
                // Whoever has started us may have the object as long as we live, and with it the queues would live.
                bundle.close()
                part += 1
            }
            guard let first = descriptors.first else {
                // An anchor that no namespace has taken, whose device is gone or wanted by nobody; or what is no
                // bundle.
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
