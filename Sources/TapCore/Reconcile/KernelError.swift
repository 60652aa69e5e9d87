/// An error number of the kernel (`errno.h`).
public struct Errno: Error, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    public static let noPermission = Errno(rawValue: 1)
    public static let noEntry = Errno(rawValue: 2)
    public static let interrupted = Errno(rawValue: 4)
    public static let tooBig = Errno(rawValue: 7)
    public static let badDescriptor = Errno(rawValue: 9)
    public static let wouldBlock = Errno(rawValue: 11)
    public static let outOfMemory = Errno(rawValue: 12)
    public static let accessDenied = Errno(rawValue: 13)
    public static let busy = Errno(rawValue: 16)
    public static let exists = Errno(rawValue: 17)
    public static let noDevice = Errno(rawValue: 19)
    public static let invalid = Errno(rawValue: 22)
    public static let tooManyOpenFiles = Errno(rawValue: 24)
    public static let notADirectory = Errno(rawValue: 20)
    public static let notATerminal = Errno(rawValue: 25)
    public static let outOfRange = Errno(rawValue: 34)
    public static let tooManySymbolicLinks = Errno(rawValue: 40)
    public static let full = Errno(rawValue: 54)
    public static let addressNotAvailable = Errno(rawValue: 99)
    public static let noBufferSpace = Errno(rawValue: 105)
    public static let noSpace = Errno(rawValue: 28)
    public static let readOnly = Errno(rawValue: 30)
    public static let overflow = Errno(rawValue: 75)
    public static let badMessage = Errno(rawValue: 74)

    private static let symbols: [Int32: String] = [
        1: "EPERM", 2: "ENOENT", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF", 11: "EAGAIN", 12: "ENOMEM",
        13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST", 19: "ENODEV", 20: "ENOTDIR", 22: "EINVAL", 23: "ENFILE",
        24: "EMFILE", 25: "ENOTTY", 28: "ENOSPC", 30: "EROFS", 32: "EPIPE", 34: "ERANGE", 40: "ELOOP", 54: "EXFULL",
        74: "EBADMSG", 75: "EOVERFLOW", 77: "EBADFD", 90: "EMSGSIZE", 95: "EOPNOTSUPP", 99: "EADDRNOTAVAIL",
        105: "ENOBUFS", 109: "ETOOMANYREFS", 110: "ETIMEDOUT", 111: "ECONNREFUSED",
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

/// Why a network namespace cannot be entered.
public enum NamespaceFailure: Error, Hashable, Sendable {
    /// Nothing is at the path, or something that is no network namespace.
    case missing(String)
    /// It is there, but the daemon cannot work in it.
    case unusable(KernelError)
}

extension KernelError {
    /// Whether somebody else has what was asked for.
    public var isTaken: Bool { errno == .busy || errno == .tooBig }
}
