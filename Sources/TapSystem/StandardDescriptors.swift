internal import CLinux
internal import Glibc

/// The descriptors 0, 1 and 2 (stdin(3)).
public enum StandardDescriptors {
    /// Opens those that are closed, on `/dev/null` and for as long as the process lives: the next file that is opened
    /// would get such a number, and would be written to.
    public static func open() {
        for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 {
            // SAFETY: the call reads the constant text.
            _ = unsafe clinux_open("/dev/null", O_RDWR, 0)
        }
    }
}
