internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// The files of interfaces' queues, `/sys/class/net` (`Documentation/networking/scaling.rst`).
final class QueueFiles {
    private let root: FileDescriptor

    /// A sysfs shows the network namespace in which it was mounted, so a namespace of its own needs one of its own.
    ///
    /// - Throws: EPERM without `CAP_SYS_ADMIN` for another namespace than that of `/sys`.
    init(in handle: NamespaceHandle?) throws(Errno) {
        do throws(Errno) {
            root = try handle.inside { () throws(Errno) in
                FileDescriptor(owning: try systemCall { clinux_mount_sysfs() })
            }
        } catch {
            // What is mounted is the daemon's own, or that of whoever started it: each use looks which.
            guard handle == nil else { throw error }
            root = try FileDescriptor(opening: "/sys", flags: O_RDONLY | O_DIRECTORY)
        }
    }

    /// Writes `rps_cpus`: which CPUs take what comes from the queue.
    ///
    /// - Throws: ENODEV when the files show another interface; EACCES or EROFS where the daemon may not write there;
    ///   EOVERFLOW for a CPU that the host does not have.
    func setReceiveCPUs(_ cpus: [Int], of name: String, index: LinkIndex, at kernelIndex: Int) throws(Errno) {
        let folder = "/proc/self/fd/\(root.number)/class/net/\(name)"
        guard try read(folder + "/ifindex") == String(index.rawValue) else { throw .noDevice }
        let path = "\(folder)/queues/rx-\(kernelIndex)/rps_cpus"
        // With a queue go its files.
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

    /// Words of 32 bits, the highest first, with commas between them (`Documentation/core-api/printk-formats.rst`,
    /// %*pb).
    static func mask(_ cpus: [Int]) -> String {
        var words = [UInt32](repeating: 0, count: (cpus.max() ?? 0) / 32 + 1)
        for cpu in cpus { words[cpu / 32] |= 1 << UInt32(cpu % 32) }
        return words.reversed().map { String($0, radix: 16) }.joined(separator: ",")
    }

    static func advice(_ errno: Errno) -> String? {
        switch errno {
        case .accessDenied, .noPermission, .readOnly:
            "to set a queue's CPUs the daemon writes to /sys, which deploy/receive-cpus.conf lets the service do"
        case .invalid, .overflow: "does the host have all of these CPUs?"
        default: nil
        }
    }
}
