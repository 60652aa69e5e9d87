internal import Glibc
internal import Synchronization

/// Owns a descriptor as `FileDescriptor` does, but can be stored in collections and shared.
public final class OwnedDescriptor: Sendable {
    private static let none: Int32 = -1

    private let held: Atomic<Int32>

    /// For system calls only, while the object lives; −1 after `take` or `close`.
    public var number: Int32 { held.load(ordering: .acquiring) }

    public init(owning number: Int32) {
        held = Atomic(number)
    }

    /// Clears `FD_CLOEXEC`, so that the descriptor stays open in the program that execve(2) starts.
    ///
    /// - Throws: EBADF after `take` or `close`.
    public func passOn() throws(Errno) {
        let number = number
        try systemCall { fcntl(number, F_SETFD, 0) }
    }

    deinit {
        close()
    }

    /// Closes the descriptor now, even if there are other references to the object.
    public func close() {
        let number = take()
        if number != Self.none { _ = Glibc.close(number) }
    }

    /// Passes the ownership to the caller, which must close the number.
    ///
    /// - Returns: −1 if it has been taken or closed before.
    public func take() -> Int32 { held.exchange(Self.none, ordering: .acquiringAndReleasing) }
}
