internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// The sysfs files of interfaces and their queues, in `/sys/class/net` (`Documentation/networking/scaling.rst`).
final class InterfaceFiles {
    private let root: FileDescriptor

    /// Mounts a sysfs for the namespace, since a sysfs shows the network namespace in which it was mounted.
    ///
    /// - Throws: EPERM without `CAP_SYS_ADMIN`, for a namespace other than that of `/sys`.
    init(in handle: NamespaceHandle?) throws(Errno) {
        do throws(Errno) {
            root = try handle.inside { () throws(Errno) in
                FileDescriptor(owning: try systemCall { clinux_mount_sysfs() })
            }
        } catch {
            // `/sys` shows the daemon's namespace, or that of the process that started it: each use checks which.
            guard handle == nil else { throw error }
            root = try FileDescriptor(opening: "/sys", flags: O_RDONLY | O_DIRECTORY)
        }
    }

    /// The inode of an interface's directory; `nil` if there is none. The directory may be that of another namespace's
    /// interface of this name; compare `index(of:)`.
    func inode(of name: String) -> UInt64? {
        var status = stat()
        // Not by way of `class/net`, whose symbolic link takes twice as long.
        guard unsafe fstatat(root.number, "devices/virtual/net/\(name)", &status, 0) == 0 else { return nil }
        return UInt64(status.st_ino)
    }

    /// The number of the interface of this name; `nil` if there is none.
    func index(of name: String) -> LinkIndex? {
        (try? read("\(folder(of: name))/ifindex")).flatMap { Int32($0) }.map(LinkIndex.init(rawValue:))
    }

    private func folder(of name: String) -> String { "/proc/self/fd/\(root.number)/class/net/\(name)" }

    /// Writes `rps_cpus`: the CPUs that process the packets from the queue.
    ///
    /// - Throws: ENODEV if the files are of another interface; EACCES or EROFS if the daemon may not write there;
    ///   EOVERFLOW for a CPU that the host does not have.
    func setReceiveCPUs(_ cpus: [Int], of name: String, index: LinkIndex, at kernelIndex: Int) throws(Errno) {
        guard self.index(of: name) == index else { throw .noDevice }
        let path = "\(folder(of: name))/queues/rx-\(kernelIndex)/rps_cpus"
        // The queue's files are removed with it.
        if cpus.isEmpty, unsafe access(path, F_OK) != 0 { return }
        let file = try FileDescriptor(opening: path, flags: O_WRONLY)
        let text = Array(Self.mask(cpus).utf8)
        let number = file.number
        // SAFETY: the kernel reads the array's bytes, during the call.
        try systemCall { unsafe write(number, text, text.count) }
    }

    private func read(_ path: String) throws(Errno) -> String {
        let file = try FileDescriptor(opening: path, flags: O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 32)
        let (number, size) = (file.number, bytes.count)
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        let count = try systemCall { unsafe Glibc.read(number, &bytes, size) }
        return String(decoding: bytes[0..<count].prefix(while: { $0 > 0x20 }), as: UTF8.self)
    }

    /// A bitmap of the CPUs in hexadecimal words of 32 bits, the highest first, separated by commas
    /// (`Documentation/core-api/printk-formats.rst`, %*pb).
    static func mask(_ cpus: [Int]) -> String {
        var words = [UInt32](repeating: 0, count: (cpus.max() ?? 0) / 32 + 1)
        for cpu in cpus { words[cpu / 32] |= 1 << UInt32(cpu % 32) }
        return words.reversed().map { String($0, radix: 16) }.joined(separator: ",")
    }

    static func advice(_ errno: Errno) -> String? {
        switch errno {
        case .accessDenied, .noPermission, .readOnly:
            "setting a queue's CPUs needs write access to /sys, which deploy/receive-cpus.conf gives the service"
        case .invalid, .overflow: "check that the host has all of these CPUs"
        default: nil
        }
    }
}
