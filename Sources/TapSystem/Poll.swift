internal import CLinux
internal import Glibc

/// Waiting for descriptors (poll(2)).
public enum Poll {
    /// Waits until there is something to read, or the other end is closed.
    ///
    /// - Parameters:
    ///   - numbers: Descriptors.
    ///   - deadline: `nil` waits for as long as it takes.
    /// - Returns: Those that are readable; none if the deadline has come before.
    /// - Throws: EINVAL for more descriptors than the process may have open; ENOMEM.
    public static func waitUntilReadable(
        _ numbers: [Int32], until deadline: ContinuousClock.Instant?
    ) throws(Errno) -> Set<Int32> {
        var entries = numbers.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        // SAFETY: the kernel reads and writes as many entries as there are, during the call.
        try systemCall(until: deadline) { unsafe poll(&entries, nfds_t(entries.count), $0) }
        return Set(entries.filter { $0.revents != 0 }.map(\.fd))
    }
}

/// As `systemCall`, for a call that waits some milliseconds: what is left is counted anew after EINTR. −1 is for ever.
@discardableResult
public func systemCall<Result: SignedInteger>(
    until deadline: ContinuousClock.Instant?, _ call: (_ milliseconds: Int32) -> Result
) throws(Errno) -> Result {
    try systemCall { call(deadline?.millisecondsLeft ?? -1) }
}
