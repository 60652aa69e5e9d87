internal import CLinux
internal import Glibc

/// The descriptors 0, 1 and 2 (stdin(3)).
public enum StandardDescriptors {
    /// Opens closed ones on `/dev/null`, for the lifetime of the process. Otherwise the next opened file would get such
    /// a number, and output would be written to it.
    public static func open() {
        for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 {
            // SAFETY: the call reads a constant text.
            _ = unsafe clinux_open("/dev/null", O_RDWR, 0)
        }
    }
}
