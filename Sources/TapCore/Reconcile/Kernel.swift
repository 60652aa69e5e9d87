/// An error number of the kernel (`errno.h`).
public struct Errno: Error, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    public static let noPermission = Errno(rawValue: 1)
    public static let noEntry = Errno(rawValue: 2)
    public static let interrupted = Errno(rawValue: 4)
    public static let wouldBlock = Errno(rawValue: 11)
    public static let outOfMemory = Errno(rawValue: 12)
    public static let accessDenied = Errno(rawValue: 13)
    public static let busy = Errno(rawValue: 16)
    public static let exists = Errno(rawValue: 17)
    public static let noDevice = Errno(rawValue: 19)
    public static let invalid = Errno(rawValue: 22)
    public static let tooManyOpenFiles = Errno(rawValue: 24)
    public static let noBufferSpace = Errno(rawValue: 105)
    public static let badMessage = Errno(rawValue: 74)

    private static let symbols: [Int32: String] = [
        1: "EPERM", 2: "ENOENT", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF", 11: "EAGAIN", 12: "ENOMEM",
        13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST", 19: "ENODEV", 22: "EINVAL", 23: "ENFILE", 24: "EMFILE",
        28: "ENOSPC", 34: "ERANGE", 74: "EBADMSG", 77: "EBADFD", 90: "EMSGSIZE", 95: "EOPNOTSUPP",
        99: "EADDRNOTAVAIL", 105: "ENOBUFS", 110: "ETIMEDOUT",
    ]

    /// The symbol, such as `EBUSY`.
    public var description: String {
        Self.symbols[rawValue] ?? "errno \(rawValue)"
    }
}

/// The kernel refused a step.
public struct KernelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The step's name, or `observe` and `wait` for what is no step.
    public let operation: String
    public let errno: Errno
    /// What it means and what to do, where more is known than the number says.
    public let advice: String?

    public init(_ operation: String, _ errno: Errno, advice: String? = nil) {
        self.operation = operation
        self.errno = errno
        self.advice = advice
    }

    public var description: String {
        "\(operation) failed with \(errno)" + (advice.map { ": \($0)" } ?? "")
    }
}

/// Why the worker woke up. A hint where to look, never the truth about what is there.
public struct KernelSignals: Hashable, Sendable {
    /// Links about which the kernel said something.
    public var touched: Set<LinkIndex> = []
    /// Notifications were lost (ENOBUFS): only a dump tells what happened.
    public var wasOverrun = false

    public init() {}
}

/// Ends a `Kernel.wait` from any thread.
public protocol Waker: Sendable {
    func wake()
}

/// The kernel's side of the reconciler, for one network namespace. Used by one thread only, but for `waker`.
public protocol Kernel: AnyObject {
    var host: HostIdentity { get }
    var waker: any Waker { get }
    /// The user that owns brokered devices: the daemon's own.
    var daemonUser: UInt32 { get }
    /// Devices of which a detached descriptor is held.
    var anchored: Set<LinkIndex> { get }

    /// Every interface of the namespace.
    func links() throws(KernelError) -> [ObservedLink]

    /// Those of the given interfaces that exist.
    func links(at indexes: [LinkIndex]) throws(KernelError) -> [ObservedLink]

    /// Does the steps in their order and stops at the first that fails. A device that is not yet persistent by then is
    /// gone again.
    ///
    /// - Parameters:
    ///   - steps: Any but `claim` and `forget`, which are the store's.
    ///   - name: The device's name.
    ///   - index: The device's number; nothing before `create`.
    /// - Returns: The device's number.
    /// - Throws: `KernelError` with the name of the step that failed.
    func perform(_ steps: some Sequence<Step>, on name: DeviceName, at index: LinkIndex?) throws(KernelError)
        -> LinkIndex?

    /// Lets go of a descriptor that a half-done plan left open; an unclaimed device vanishes with it.
    func abandon(_ index: LinkIndex)

    /// Waits for a notification, a wake-up or the deadline.
    ///
    /// - Parameter deadline: When to return at the latest; in the past, it collects without waiting.
    /// - Returns: What was heard since the last call.
    /// - Throws: `KernelError` when the monitor is broken.
    func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelSignals
}
