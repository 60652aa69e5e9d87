import Foundation
import Glibc

/// The writes and syncs of a daemon to its database files, as recorded by `Tests/Faults`.
public struct DiskRecord {
    /// The files that are recorded.
    public enum File: UInt8, CaseIterable, Sendable {
        case database = 0x64
        case log = 0x77
        case journal = 0x6A
        /// The folder of the files: its sync makes their names durable.
        case folder = 0x66

        /// The path of this file for a database at `path`.
        public func path(_ path: String) -> String {
            switch self {
            case .database: path
            case .log: path + "-wal"
            case .journal: path + "-journal"
            case .folder: (path as NSString).deletingLastPathComponent
            }
        }
    }

    /// A recorded call.
    public enum Operation: Sendable {
        case create, unlink, sync, failedSync
        case truncate(length: Int)
        /// A range of the record's bytes, and the offset in the file at which they were written.
        case write(Range<Int>, offset: Int)
    }

    /// A recorded call, in order.
    public struct Entry: Sendable {
        /// The file of the call.
        public let file: File
        /// What the call did.
        public let operation: Operation
        /// The length of the record up to here, in bytes.
        public let end: Int
    }

    /// The whole record.
    public let bytes: Data
    /// All recorded calls, in order.
    public let entries: [Entry]

    /// The layout of `struct faults_entry`.
    private static let headBytes = 16

    public init(_ path: String) throws {
        bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        var entries: [Entry] = []
        var place = 0
        while place + Self.headBytes <= bytes.count {
            let head = place
            let (kind, count, offset) = bytes.withUnsafeBytes { bytes in
                (
                    bytes[head], Int(bytes.loadUnaligned(fromByteOffset: head + 4, as: UInt32.self)),
                    Int(bytes.loadUnaligned(fromByteOffset: head + 8, as: Int64.self))
                )
            }
            guard let file = File(rawValue: bytes[head + 1]) else { throw TestFailure("no file: \(bytes[head + 1])") }
            place += Self.headBytes + count
            let operation: Operation
            switch UnicodeScalar(kind) {
            case "c": operation = .create
            case "u": operation = .unlink
            case "s": operation = .sync
            case "f": operation = .failedSync
            case "t": operation = .truncate(length: offset)
            case "w": operation = .write(head + Self.headBytes..<place, offset: offset)
            default: throw TestFailure("no operation: \(kind)")
            }
            entries.append(Entry(file: file, operation: operation, end: place))
        }
        self.entries = entries
    }
}

/// A simulated disk on which a record is replayed, and whose power can be cut at any point.
///
/// Everything that a successful sync covers is durable. Of later writes, any subset of sectors survives, in any order;
/// the same holds for names created or removed since the last sync of the folder. After a failed sync, a part of the
/// data is on disk, and the rest is never written, as in Linux.
public struct Disk {
    static let sectorBytes = 512
    /// The share of unsynced data that survives, from none to all.
    private static let survivingShares: [Double] = [0, 0.1, 0.5, 0.5, 0.9, 1]

    /// The contents of a file, independent of its name.
    private final class Contents {
        var durable = Data()
        var pending: [DiskRecord.Operation] = []
    }

    private let record: DiskRecord
    /// The number of entries that have been replayed.
    public private(set) var position = 0
    private var generator: SeededGenerator
    private var current: [DiskRecord.File: Contents] = [:]
    private var durableNames: [DiskRecord.File: Contents] = [:]
    /// Names created (with the file they refer to) or removed.
    private var pendingNames: [(file: DiskRecord.File, contents: Contents?)] = []

    public init(_ record: DiskRecord, seed: UInt64) {
        self.record = record
        generator = SeededGenerator(seed: seed)
    }

    /// Replays the record up to an entry.
    public mutating func play(to end: Int) throws {
        while position < end {
            try play(record.entries[position])
            position += 1
        }
    }

    private mutating func play(_ entry: DiskRecord.Entry) throws {
        switch entry.operation {
        case .create:
            let contents = Contents()
            current[entry.file] = contents
            pendingNames.append((entry.file, contents))
        case .unlink:
            current[entry.file] = nil
            pendingNames.append((entry.file, nil))
        case .sync where entry.file == .folder:
            for (file, contents) in pendingNames { durableNames[file] = contents }
            pendingNames = []
        case .failedSync where entry.file == .folder: break
        case .sync, .failedSync, .truncate, .write:
            guard let contents = current[entry.file] else { throw TestFailure("\(entry.file) was never made") }
            switch entry.operation {
            case .sync:
                for operation in contents.pending { apply(operation, to: &contents.durable, surviving: 1) }
                contents.pending = []
            case .failedSync:
                for operation in contents.pending { apply(operation, to: &contents.durable, surviving: 0.5) }
                contents.pending = []
            default: contents.pending.append(entry.operation)
            }
        }
    }

    /// Writes the files that exist after a power cut at this point.
    public mutating func cut(to path: String) throws {
        let surviving = Self.survivingShares.randomElement(using: &generator) ?? 0
        var names = durableNames
        for (file, contents) in pendingNames where Double.random(in: 0..<1, using: &generator) < surviving {
            names[file] = contents
        }
        for file in DiskRecord.File.allCases where file != .folder {
            guard let contents = names[file] else {
                Glibc.unlink(file.path(path))
                continue
            }
            var bytes = contents.durable
            for operation in contents.pending { apply(operation, to: &bytes, surviving: surviving) }
            let descriptor = open(file.path(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            defer { close(descriptor) }
            guard bytes.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == bytes.count else {
                throw TestFailure("cannot write \(file.path(path))")
            }
        }
    }

    private mutating func apply(_ operation: DiskRecord.Operation, to bytes: inout Data, surviving: Double) {
        switch operation {
        case .truncate(let length):
            guard survives(surviving) else { return }
            if bytes.count > length { bytes.removeSubrange(length...) } else { fill(&bytes, to: length) }
        case .write(let range, let offset):
            var place = range.lowerBound
            while place < range.upperBound {
                let target = offset + place - range.lowerBound
                // To the end of the sector.
                let end = min(range.upperBound, place + Self.sectorBytes - target % Self.sectorBytes)
                if survives(surviving) {
                    fill(&bytes, to: target + end - place)
                    bytes.replaceSubrange(target..<target + end - place, with: record.bytes[place..<end])
                }
                place = end
            }
        case .create, .unlink, .sync, .failedSync: break
        }
    }

    private func fill(_ bytes: inout Data, to length: Int) {
        if bytes.count < length { bytes.append(Data(count: length - bytes.count)) }
    }

    private mutating func survives(_ share: Double) -> Bool {
        share == 1 || (share > 0 && Double.random(in: 0..<1, using: &generator) < share)
    }
}
