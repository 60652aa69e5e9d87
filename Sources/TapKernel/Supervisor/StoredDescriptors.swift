internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// The descriptors that a program has stored for its next start, by name, as in systemd's file descriptor store.
struct StoredDescriptors {
    static let countMax = 16_384
    /// The program gets the names in one environment variable, whose length the kernel limits (`MAX_ARG_STRLEN`).
    static let nameBytesMax = 128 << 10 - 32
    /// For what the supervisor itself has open, and some more.
    private static let reservedDescriptors = 64
    /// The name of descriptors that were stored without one.
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
    /// In the order in which they were stored.
    private var entries: [Entry] = []
    /// In the kernel's order of open files (kcmp(2)), so that a duplicate is found quickly.
    private var sorted: [Entry] = []
    private var nameBytes = 0

    /// - Parameter openMax: How many files this process may have open. Passing descriptors on needs twice as many.
    init(openMax: UInt64) {
        limit = min(Self.countMax, max(0, Int(clamping: openMax) - Self.reservedDescriptors) / 2)
    }

    var count: Int { entries.count }
    var names: [String] { entries.map(\.name) }
    var numbers: [Int32] { entries.map(\.descriptor.number) }

    /// Stores the descriptor, unless its open file is stored already: that keeps its name.
    ///
    /// - Returns: False if there is no room.
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

    /// Closes all descriptors that have the name.
    mutating func remove(_ name: String) {
        entries.removeAll { $0.name == name }
        sorted.removeAll { $0.name == name }
        nameBytes = entries.reduce(0) { $0 + $1.name.utf8.count + 1 }
    }

    /// Where its open file belongs in `sorted`; `nil` if it is stored already.
    private func place(of number: Int32) -> Int? {
        var range = sorted.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            switch clinux_compare_files(number, sorted[middle].descriptor.number) {
            case 0: return nil
            case 1: range = range.lowerBound..<middle
            // If the kernel cannot compare them, duplicates are stored, which does no harm but take room.
            default: range = middle + 1..<range.upperBound
            }
        }
        return range.lowerBound
    }
}
