public import TapSystem

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
