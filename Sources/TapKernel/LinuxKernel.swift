internal import CLinux
internal import Glibc
public import TapCore

/// The kernel itself: tun ioctls and rtnetlink, in the network namespace of the thread that uses it and in others.
public final class LinuxKernel: Kernel {
    public let daemonUser: UInt32
    public let features: KernelFeatures

    private let loop: EventLoop
    private let boot: String

    /// - Throws: `KernelError` when `/proc` and `/dev/net/tun` are not what they should be.
    public init() throws(KernelError) {
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
        let namespace = try LinuxNamespace(location, boot: boot)
        do throws(Errno) {
            try loop.watch(namespace.monitorNumber)
        } catch {
            throw .unusable(KernelError("open_namespace", error))
        }
        return namespace
    }

    public func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> Bool {
        do throws(Errno) { return try loop.wait(until: deadline) } catch { throw KernelError("wait", error) }
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
