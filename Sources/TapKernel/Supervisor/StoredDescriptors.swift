internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// What a program has stored for its next start, by name: systemd's file descriptor store.
struct StoredDescriptors {
    static let countMax = 16_384
    /// The names come back in one variable of the environment, and the kernel takes no longer one (`MAX_ARG_STRLEN`).
    static let nameBytesMax = 128 << 10 - 32
    /// What the supervisor itself has open, and some more.
    private static let reservedDescriptors = 64
    /// The name of what has none.
    private static let defaultName = "stored"

    private final class Entry {
        let name: String
        let descriptor: OwnedDescriptor

        init(name: String, descriptor: OwnedDescriptor) {
            self.name = name
            self.descriptor = descriptor
        }
    }

    private let limit: Int
    /// As they came.
    private var entries: [Entry] = []
    /// In the kernel's order of open files, so that one that is stored already is found quickly.
    private var sorted: [Entry] = []
    private var nameBytes = 0

    /// - Parameter openMax: How many files this process may have open. To pass descriptors on takes twice as many.
    init(openMax: UInt64) {
        limit = min(Self.countMax, max(0, Int(clamping: openMax) - Self.reservedDescriptors) / 2)
    }

    var count: Int { entries.count }
    var names: [String] { entries.map(\.name) }
    var numbers: [Int32] { entries.map(\.descriptor.number) }

    /// Takes the descriptor, unless its open file is stored already: then the name that it has stays.
    ///
    /// - Returns: Whether there was room.
    mutating func add(_ descriptor: OwnedDescriptor, name: String?) -> Bool {
        let name = name.flatMap { ServiceManager.isName($0) ? $0 : nil } ?? Self.defaultName
        guard let place = place(of: descriptor.number) else { return true }
        guard count < limit, nameBytes + name.utf8.count + 1 <= Self.nameBytesMax else { return false }
        let entry = Entry(name: name, descriptor: descriptor)
        entries.append(entry)
        sorted.insert(entry, at: place)
        nameBytes += name.utf8.count + 1
        return true
    }

    /// Closes all that have the name.
    mutating func remove(_ name: String) {
        entries.removeAll { $0.name == name }
        sorted.removeAll { $0.name == name }
        nameBytes = entries.reduce(0) { $0 + $1.name.utf8.count + 1 }
    }

    /// Where it belongs in the kernel's order; nothing when it is there.
    private func place(of number: Int32) -> Int? {
        var range = sorted.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            switch clinux_compare_files(number, sorted[middle].descriptor.number) {
            case 0: return nil
            case 1: range = range.lowerBound..<middle
            // A kernel that does not tell makes the store larger, and nothing worse.
            default: range = middle + 1..<range.upperBound
            }
        }
        return range.lowerBound
    }
}
