public import TapSystem

/// The kernel refused an operation.
public struct KernelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The step's name, or another operation such as `observe` and `wait`.
    public let operation: String
    /// The kernel's reason.
    public let errno: Errno
    /// What it means and what to do; `nil` if the error number is sufficient.
    public let advice: String?

    public init(_ operation: String, _ errno: Errno, advice: String? = nil) {
        self.operation = operation
        self.errno = errno
        self.advice = advice
    }

    /// One sentence for people, such as `persist failed with EPERM`.
    public var description: String {
        "\(operation) failed with \(errno)" + (advice.map { ": \($0)" } ?? "")
    }
}

/// Why a network namespace cannot be entered.
public enum NamespaceFailure: Error, Hashable, Sendable {
    /// The path does not exist, or is not a network namespace.
    case missing(String)
    /// The namespace exists, but the daemon cannot use it.
    case unusable(KernelError)
}

extension KernelError {
    /// Whether the queues are in use by another process (EBUSY, E2BIG).
    public var isTaken: Bool { errno == .busy || errno == .tooBig }
}
