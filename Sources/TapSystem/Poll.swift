internal import CLinux
internal import Glibc

/// Waiting for descriptors (poll(2)).
public enum Poll {
    /// Waits until one of the descriptors is readable or its other end is closed.
    ///
    /// - Parameters:
    ///   - numbers: The descriptors.
    ///   - deadline: `nil`: no deadline.
    /// - Returns: The descriptors that are readable or closed; empty after the deadline.
    /// - Throws: EINVAL for more descriptors than the process may have open; ENOMEM.
    public static func waitUntilReadable(
        _ numbers: [Int32], until deadline: ContinuousClock.Instant?
    ) throws(Errno) -> Set<Int32> {
        var entries = numbers.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        // SAFETY: the kernel reads and writes `entries.count` entries, during the call.
        try systemCall(until: deadline) { unsafe poll(&entries, nfds_t(entries.count), $0) }
        return Set(entries.filter { $0.revents != 0 }.map(\.fd))
    }

    /// Waits until a descriptor is writable or its other end is closed.
    ///
    /// - Throws: ENOMEM.
    public static func waitUntilWritable(_ number: Int32) throws(Errno) {
        var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        // SAFETY: the kernel reads and writes the entry, during the call.
        try systemCall { unsafe poll(&entry, 1, -1) }
    }
}

/// As `systemCall`, for a call with a timeout in milliseconds, which is computed again after EINTR.
///
/// - Parameters:
///   - deadline: `nil`: no deadline, for which the timeout is −1.
///   - call: Returns −1 if it fails.
/// - Returns: The result of `call`.
/// - Throws: The error in `errno`.
@discardableResult
public func systemCall<Result: SignedInteger>(
    until deadline: ContinuousClock.Instant?, _ call: (_ milliseconds: Int32) -> Result
) throws(Errno) -> Result {
    try systemCall { call(deadline?.millisecondsLeft ?? -1) }
}
