internal import CLinux
internal import Glibc

/// Owns a descriptor and closes it at the end of its lifetime.
public struct FileDescriptor: ~Copyable, Sendable {
    /// For system calls only; must not be used after the owner's lifetime.
    public let number: Int32

    public init(owning number: Int32) {
        self.number = number
    }

    /// open(2), always with `O_CLOEXEC`.
    ///
    /// - Parameters:
    ///   - path: The file's.
    ///   - flags: Such as `O_RDONLY`.
    ///   - mode: The permissions of a file that the call makes (`O_CREAT`), less the umask.
    /// - Throws: The errors of open(2), such as ENOENT, EACCES, EEXIST, ENOTDIR, ELOOP and EMFILE.
    public init(opening path: String, flags: Int32, mode: UInt32 = 0) throws(Errno) {
        // SAFETY: the call copies the path.
        number = try systemCall { unsafe clinux_open(path, flags | O_CLOEXEC, mode) }
    }

    /// openat(2), always with `O_CLOEXEC`: `name` is relative to the open directory.
    ///
    /// - Throws: The errors of open(2).
    public init(
        opening name: String, in directory: borrowing FileDescriptor, flags: Int32, mode: UInt32 = 0
    ) throws(Errno) {
        let parent = directory.number
        // SAFETY: the call copies the name.
        number = try systemCall { unsafe clinux_open_at(parent, name, flags | O_CLOEXEC, mode) }
    }

    /// pread(2).
    ///
    /// - Returns: At most `bytesMax` bytes; empty at the end of the file.
    /// - Throws: EIO, EISDIR.
    public func read(upTo bytesMax: Int, at offset: Int) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        let count = try systemCall { unsafe pread(number, &bytes, bytesMax, off_t(offset)) }
        bytes.removeLast(bytesMax - count)
        return bytes
    }

    /// pwrite(2), repeated until all bytes are written.
    ///
    /// - Throws: ENOSPC, EFBIG, EDQUOT, EIO.
    public func write(_ bytes: [UInt8], at offset: Int) throws(Errno) {
        var written = 0
        while written < bytes.count {
            // SAFETY: the kernel reads the array's bytes from `written` on, during the call.
            written += try systemCall {
                unsafe bytes.withUnsafeBytes { bytes in
                    let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[written...])
                    return unsafe pwrite(number, rest.baseAddress, rest.count, off_t(offset + written))
                }
            }
        }
    }

    /// fsync(2); for a directory, this writes its entries to the disk.
    ///
    /// - Throws: EIO, ENOSPC, EDQUOT.
    public func synchronize() throws(Errno) { try systemCall { fsync(number) } }

    /// fdatasync(2): writes the data and the metadata that reading it needs to the disk.
    ///
    /// - Throws: EIO, ENOSPC, EDQUOT.
    public func synchronizeData() throws(Errno) { try systemCall { fdatasync(number) } }

    /// flock(2) with `LOCK_EX`. The kernel releases the lock when the last descriptor of the open file is closed.
    ///
    /// - Throws: EAGAIN if `waits` is false and another open file has the lock.
    public func lock(waits: Bool) throws(Errno) {
        try systemCall { flock(number, waits ? LOCK_EX : LOCK_EX | LOCK_NB) }
    }

    /// fstat(2).
    public func status() throws(Errno) -> FileStatus {
        var status = stat()
        // SAFETY: the kernel writes the local, during the call.
        try systemCall { unsafe fstat(number, &status) }
        return FileStatus(status)
    }

    /// fchmod(2).
    public func setMode(_ mode: UInt32) throws(Errno) { try systemCall { fchmod(number, mode) } }

    /// fchown(2).
    ///
    /// - Parameters:
    ///   - user: `nil` keeps the owner.
    ///   - group: `nil` keeps the group.
    /// - Throws: EPERM if the process may not change the owner.
    public func setOwner(user: UInt32?, group: UInt32?) throws(Errno) {
        try systemCall { fchown(number, user ?? UInt32.max, group ?? UInt32.max) }
    }

    deinit {
        // Linux frees the number even if close(2) returns EINTR, so the call is not repeated.
        _ = close(number)
    }
}

/// The attributes of a file (stat(2), inode(7)).
public struct FileStatus: Hashable, Sendable {
    /// Together with `inode`, it identifies the file independently of its name, as long as the file is open.
    public let device: UInt64
    /// Unique within `device`.
    public let inode: UInt64
    /// The size.
    public let bytes: Int
    /// User ID.
    public let owner: UInt32
    /// Group ID.
    public let group: UInt32
    /// The nine permission bits (`0o777`).
    public let permissions: UInt32
    /// `S_ISREG`.
    public let isRegularFile: Bool
    /// `S_ISSOCK`.
    public let isSocket: Bool

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        bytes = Int(status.st_size)
        owner = status.st_uid
        group = status.st_gid
        permissions = status.st_mode & 0o777
        isRegularFile = status.st_mode & S_IFMT == S_IFREG
        isSocket = status.st_mode & S_IFMT == S_IFSOCK
    }

    /// stat(2), or lstat(2) if `followsLinks` is false.
    ///
    /// - Throws: ENOENT, EACCES.
    public init(path: String, followsLinks: Bool = true) throws(Errno) {
        var status = stat()
        // SAFETY: the kernel reads the path and writes the local, during the call.
        try systemCall { unsafe followsLinks ? stat(path, &status) : lstat(path, &status) }
        self.init(status)
    }
}

/// Operations on file names.
public enum FileSystem {
    /// link(2), which unlike rename(2) never replaces a file.
    ///
    /// - Throws: EEXIST, ENOENT, EACCES, EXDEV.
    public static func link(_ path: String, as name: String) throws(Errno) {
        // SAFETY: the call copies the paths, as do all calls below.
        try systemCall { unsafe Glibc.link(path, name) }
    }

    /// renameat(2) within one directory. Atomic: another process that opens `name` gets the old or the new file.
    ///
    /// - Throws: ENOENT, EACCES, ENOSPC.
    public static func rename(
        _ old: String, to name: String, in directory: borrowing FileDescriptor
    ) throws(Errno) {
        let parent = directory.number
        try systemCall { unsafe renameat(parent, old, parent, name) }
    }

    /// unlinkat(2).
    ///
    /// - Throws: ENOENT, EACCES.
    public static func remove(_ name: String, in directory: borrowing FileDescriptor) throws(Errno) {
        let parent = directory.number
        try systemCall { unsafe unlinkat(parent, name, 0) }
    }

    /// unlink(2).
    ///
    /// - Throws: ENOENT, EACCES.
    public static func remove(_ path: String) throws(Errno) { try systemCall { unsafe unlink(path) } }

    /// chown(2) of the group, then chmod(2).
    ///
    /// - Throws: ENOENT; EPERM if the process may not change the group or the mode.
    public static func setAccess(_ path: String, group: UInt32?, mode: UInt32) throws(Errno) {
        if let group { try systemCall { unsafe chown(path, UInt32.max, group) } }
        try systemCall { unsafe chmod(path, mode) }
    }
}
