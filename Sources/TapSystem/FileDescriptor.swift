internal import CLinux
internal import Glibc

/// Owns a descriptor of an open file, and closes it at the end of its life.
public struct FileDescriptor: ~Copyable, Sendable {
    /// For system calls alone; it must not outlive the owner.
    public let number: Int32

    public init(owning number: Int32) {
        self.number = number
    }

    /// open(2), always with `O_CLOEXEC`.
    ///
    /// - Parameters:
    ///   - path: The file's.
    ///   - flags: `O_RDONLY` and the like.
    ///   - mode: Of a file that the call makes (`O_CREAT`), less the umask.
    /// - Throws: ENOENT, EACCES, EEXIST, ENOTDIR, ELOOP, EMFILE and what else open(2) has.
    public init(opening path: String, flags: Int32, mode: UInt32 = 0) throws(Errno) {
        // SAFETY: the call copies the path.
        number = try systemCall { unsafe clinux_open(path, flags | O_CLOEXEC, mode) }
    }

    /// openat(2), always with `O_CLOEXEC`: `name` is searched in the directory that is open.
    public init(
        opening name: String, in directory: borrowing FileDescriptor, flags: Int32, mode: UInt32 = 0
    ) throws(Errno) {
        let parent = directory.number
        // SAFETY: the call copies the name.
        number = try systemCall { unsafe clinux_open_at(parent, name, flags | O_CLOEXEC, mode) }
    }

    /// pread(2).
    ///
    /// - Returns: At most `bytesMax` bytes; none at the end of the file.
    public func read(upTo bytesMax: Int, at offset: Int) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        let count = try systemCall { unsafe pread(number, &bytes, bytesMax, off_t(offset)) }
        bytes.removeLast(bytesMax - count)
        return bytes
    }

    /// pwrite(2), until all is written.
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

    /// fsync(2); for a directory, its entries.
    public func synchronize() throws(Errno) { try systemCall { fsync(number) } }

    /// fdatasync(2): what it takes to read the data back.
    public func synchronizeData() throws(Errno) { try systemCall { fdatasync(number) } }

    /// flock(2) with `LOCK_EX`; the kernel ends the lock with the last descriptor.
    ///
    /// - Throws: EAGAIN without `waits`, while another open file has the lock.
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
    ///   - user: `nil` leaves the owner.
    ///   - group: `nil` leaves the group.
    /// - Throws: EPERM when the process may not give the file away.
    public func setOwner(user: UInt32?, group: UInt32?) throws(Errno) {
        try systemCall { fchown(number, user ?? UInt32.max, group ?? UInt32.max) }
    }

    deinit {
        // Linux frees the number even where close(2) reports EINTR, so there is nothing to repeat.
        _ = close(number)
    }
}

/// What stat(2) says of a file (inode(7)).
public struct FileStatus: Hashable, Sendable {
    /// With the inode, the file's identity while it is open, whatever its name.
    public let device: UInt64
    public let inode: UInt64
    public let bytes: Int
    public let owner: UInt32
    public let group: UInt32
    /// The nine bits of the permissions.
    public let permissions: UInt32
    public let isRegularFile: Bool
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

    /// stat(2), or with `followsLinks` false lstat(2).
    ///
    /// - Throws: ENOENT, EACCES.
    public init(path: String, followsLinks: Bool = true) throws(Errno) {
        var status = stat()
        // SAFETY: the kernel reads the path and writes the local, during the call.
        try systemCall { unsafe followsLinks ? stat(path, &status) : lstat(path, &status) }
        self.init(status)
    }
}

/// Names in the file system, changed at once or not at all.
public enum FileSystem {
    /// link(2): unlike rename(2), never over another file.
    public static func link(_ path: String, as name: String) throws(Errno) {
        // SAFETY: the call copies the paths, as do all below.
        try systemCall { unsafe Glibc.link(path, name) }
    }

    /// renameat(2) within one directory: whoever opens `name` gets the old file or the new one.
    public static func rename(
        _ old: String, to name: String, in directory: borrowing FileDescriptor
    ) throws(Errno) {
        let parent = directory.number
        try systemCall { unsafe renameat(parent, old, parent, name) }
    }

    /// unlinkat(2).
    public static func remove(_ name: String, in directory: borrowing FileDescriptor) throws(Errno) {
        let parent = directory.number
        try systemCall { unsafe unlinkat(parent, name, 0) }
    }

    /// unlink(2).
    public static func remove(_ path: String) throws(Errno) { try systemCall { unsafe unlink(path) } }

    /// chown(2) of the group, and chmod(2).
    public static func setAccess(_ path: String, group: UInt32?, mode: UInt32) throws(Errno) {
        if let group { try systemCall { unsafe chown(path, UInt32.max, group) } }
        try systemCall { unsafe chmod(path, mode) }
    }
}
