internal import CLinux
internal import TapCore
internal import TapSystem

/// The number of files the process may have open: a queue needs one.
public enum DescriptorLimit {
    /// Raises the soft limit to the hard one (`RLIMIT_NOFILE`, getrlimit(2)).
    ///
    /// - Returns: The limit now in force; `nil` if it could not be raised.
    public static func raise() -> UInt64? {
        var limit: UInt64 = 0
        guard (try? systemCall { unsafe clinux_raise_descriptor_limit(&limit) }) != nil else { return nil }
        return limit
    }
}
