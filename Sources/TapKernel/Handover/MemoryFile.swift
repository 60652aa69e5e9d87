internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// A file in memory (memfd_create(2)) of which the service manager keeps a copy: it survives the process, however that
/// ends, and writes nothing to a disk.
final class MemoryFile: KernelMemory {
    /// A larger file is not one of Tapster's.
    private static let bytesMax = 64 << 20
    private static let namePrefix = "memory-"

    private let manager: ServiceManager
    private var file: OwnedDescriptor?
    /// Part of the file's name; each new file has a higher one.
    private var generation: Int

    /// - Parameters:
    ///   - kept: Descriptors from the service manager, by name; the files are removed from it.
    ///   - manager: The service manager that keeps the files.
    init(_ kept: inout [String: OwnedDescriptor], manager: ServiceManager) {
        self.manager = manager
        let found = kept.compactMap { name, file in
            Self.generation(name).flatMap { Self.isFile(file) ? ($0, name, file) : nil }
        }.sorted { $0.0 < $1.0 }
        // A file is complete when the service manager gets it, so the newest one is valid.
        file = found.last?.2
        generation = found.last?.0 ?? 0
        for (_, name, _) in found.dropLast() { try? manager.forget(name) }
        for (_, name, _) in found { kept[name] = nil }
    }

    /// `nil` if the name is not one of a memory file.
    private static func generation(_ name: String) -> Int? {
        guard name.hasPrefix(namePrefix), let number = UInt32(name.dropFirst(namePrefix.count)) else { return nil }
        return Int(number)
    }

    /// Whether it is a regular file: anything else with the newest generation would be used and could not be written
    /// to.
    private static func isFile(_ descriptor: OwnedDescriptor) -> Bool {
        var status = stat()
        // SAFETY: the call fills the local.
        return unsafe fstat(descriptor.number, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    var contents: [UInt8] {
        var status = stat()
        guard let file, unsafe fstat(file.number, &status) == 0, status.st_size <= Self.bytesMax else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let size = bytes.count
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        let count = (try? systemCall { unsafe pread(file.number, &bytes, size, 0) }) ?? 0
        return Array(bytes.prefix(count))
    }

    func append(_ bytes: [UInt8]) throws(KernelError) {
        guard let file else { return try replace(with: bytes) }
        do throws(Errno) { try Self.write(bytes, at: file) } catch { throw KernelError("remember", error) }
    }

    func replace(with bytes: [UInt8]) throws(KernelError) {
        do throws(Errno) {
            let fresh = OwnedDescriptor(owning: try systemCall { unsafe clinux_memory_file("tapster") })
            try Self.write(bytes, at: fresh)
            try manager.keep(fresh.number, as: Self.namePrefix + String(generation + 1))
            if file != nil { try? manager.forget(Self.namePrefix + String(generation)) }
            generation += 1
            file = fresh
        } catch {
            throw KernelError("remember", error)
        }
    }

    /// Appends at the end of the file, independently of the offset, which processes with a copy share.
    private static func write(_ bytes: [UInt8], at file: OwnedDescriptor) throws(Errno) {
        let end = lseek(file.number, 0, Int32(SEEK_END))
        // SAFETY: the kernel reads the array's bytes, during the call.
        let count = try systemCall { unsafe pwrite(file.number, bytes, bytes.count, end) }
        guard count == bytes.count else { throw .noSpace }
    }
}
