internal import CLinux
internal import Glibc
internal import TapCore

/// Owns an open file description's number, and closes it at the end of its life.
struct FileDescriptor: ~Copyable {
    /// For system calls alone; nobody keeps it.
    let number: Int32

    init(owning number: Int32) {
        self.number = number
    }

    /// open(2), always with `O_CLOEXEC`.
    init(opening path: String, flags: Int32) throws(Errno) {
        number = try systemCall { unsafe clinux_open(path, flags | O_CLOEXEC) }
    }

    deinit {
        // Linux frees the number even where close(2) reports EINTR, so there is nothing to repeat.
        _ = close(number)
    }
}
