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

    /// Writes to standard error, and waits as long as its reader needs. A failure, such as a full disk or a closed
    /// pipe, is ignored: there is no other place to report it.
    public static func writeError(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            do throws(Errno) {
                // SAFETY: the kernel reads the bytes, during the call.
                let count = try systemCall {
                    unsafe rest.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
                }
                rest = rest.dropFirst(count)
            } catch .wouldBlock {
                // Another process that shares the open file has made it non-blocking.
                guard (try? Poll.waitUntilWritable(STDERR_FILENO)) != nil else { return }
            } catch {
                return
            }
        }
    }
}
