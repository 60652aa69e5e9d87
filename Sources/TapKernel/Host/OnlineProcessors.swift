internal import Glibc
internal import TapCore
internal import TapSystem

/// The CPUs that are online, from sysfs (`Documentation/admin-guide/cputopology.rst`).
struct OnlineProcessors: ProcessorSource {
    private static let path = "/sys/devices/system/cpu/online"
    /// A list of every second of 8,192 CPUs is shorter.
    private static let bytesMax = 32_768

    func online() -> Set<Int>? {
        do throws(Errno) {
            let file = try FileDescriptor(opening: Self.path, flags: O_RDONLY)
            var bytes = [UInt8](repeating: 0, count: Self.bytesMax)
            let number = file.number
            // SAFETY: the kernel writes at most the array's bytes, during the call.
            let count = try systemCall { unsafe read(number, &bytes, Self.bytesMax) }
            return Self.parse(String(decoding: bytes[0..<count], as: UTF8.self))
        } catch {
            return nil
        }
    }

    /// Parses a list such as `0-3,7`; `nil` if it is none.
    static func parse(_ text: String) -> Set<Int>? {
        var numbers: Set<Int> = []
        for part in text.prefix(while: { $0 != "\n" }).split(separator: ",") {
            let ends = part.split(separator: "-", maxSplits: 1).map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last else { return nil }
            numbers.formUnion(first...last)
        }
        return numbers.isEmpty ? nil : numbers
    }
}
