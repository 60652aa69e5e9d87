internal import Glibc
internal import Synchronization

/// Owns a descriptor as `FileDescriptor` does, and can be kept in collections and passed between modules.
public final class OwnedDescriptor: Sendable {
    private static let none: Int32 = -1

    private let held: Atomic<Int32>

    /// For system calls alone, while the object lives; −1 once it has been taken.
    public var number: Int32 { held.load(ordering: .acquiring) }

    public init(owning number: Int32) {
        held = Atomic(number)
    }

    /// Leaves it open in the program that replaces us (clears `FD_CLOEXEC`).
    public func passOn() throws(Errno) {
        let number = number
        try systemCall { fcntl(number, F_SETFD, 0) }
    }

    deinit {
        close()
    }

    /// Closes it now, whoever else has the object still.
    public func close() {
        let number = take()
        if number != Self.none { _ = Glibc.close(number) }
    }

    /// Whoever takes the number closes it.
    ///
    /// - Returns: −1 when somebody else has taken it.
    public func take() -> Int32 { held.exchange(Self.none, ordering: .acquiringAndReleasing) }
}
