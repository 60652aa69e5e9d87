import Foundation
import Glibc

/// Makes system calls of a running daemon fail: controls `Tests/Faults`, whose header documents the file's layout.
public final class Faults {
    /// Calls that can fail; the raw values are those of the library.
    public enum Kind: String, Sendable {
        case socket
        case openTun = "open_tun"
        case openNamespace = "open_namespace"
        case enterNamespace = "setns"
        case namespaceType = "NS_GET_NSTYPE"
        case wait = "epoll_wait"
        /// Netlink: messages that we send, by the first of a batch, and messages that we receive.
        case ask, change, answer, event
        case databaseWrite = "database_write"
        case databaseSync = "database_sync"
        /// Not a failure: the daemon is killed right after a call that is recorded.
        case die
        case setInterface = "TUNSETIFF"
        case setPersist = "TUNSETPERSIST"
        case setOwner = "TUNSETOWNER"
        case setGroup = "TUNSETGROUP"
        case setOffload = "TUNSETOFFLOAD"
        case setVnetHeaderSize = "TUNSETVNETHDRSZ"
        case getVnetHeaderSize = "TUNGETVNETHDRSZ"
        case setQueue = "TUNSETQUEUE"
        case interfaceIndex = "SIOCGIFINDEX"
        case interfaceName = "SIOCGIFNAME"
    }

    private enum Offset {
        static let armed = 0
        static let error = 4
        static let calls = 16
        static let struck = 20
        static let end = 56
    }

    private static let kindBytes = 32

    private let path: String
    private let descriptor: Int32

    /// Creates the file, without an armed fault.
    public init(in directory: String) throws {
        path = directory + "/faults"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, Offset.end) == 0 else { throw TestFailure("cannot make \(path)") }
    }

    deinit {
        close(descriptor)
    }

    /// The variables with which the daemon must be started.
    public var environment: [String: String] {
        let library = URL(fileURLWithPath: Daemon.binary).deletingLastPathComponent().appending(path: "libFaults.so")
        return ["LD_PRELOAD": library.path, "TAPSTER_TEST_FAULTS": path]
    }

    /// Lets calls of the kind fail from now on.
    ///
    /// - Parameters:
    ///   - kind: The kind of call.
    ///   - first: The first call that fails, counted from one.
    ///   - count: How many calls fail; `nil` means all.
    ///   - error: The `errno` of the failed calls.
    public func arm(_ kind: Kind, first: Int = 1, count: Int? = nil, with error: Int32) {
        disarm()
        var bytes: [UInt8] = []
        for value in [UInt32(bitPattern: error), UInt32(first), UInt32(count ?? 0), 0, 0] {
            bytes += withUnsafeBytes(of: value) { Array($0) }
        }
        let name = Array(kind.rawValue.utf8)
        write(bytes + name + Array(repeating: 0, count: Self.kindBytes - name.count), at: Offset.error)
        write([1, 0, 0, 0], at: Offset.armed)
    }

    /// Lets calls succeed again.
    public func disarm() { write([0, 0, 0, 0], at: Offset.armed) }

    /// The number of calls of the kind since the fault was armed.
    public var calls: Int { read(Offset.calls) }

    /// How many of them failed.
    public var struck: Int { read(Offset.struck) }

    private func write(_ bytes: [UInt8], at offset: Int) { _ = pwrite(descriptor, bytes, bytes.count, off_t(offset)) }

    private func read(_ offset: Int) -> Int {
        var value: UInt32 = 0
        _ = pread(descriptor, &value, 4, off_t(offset))
        return Int(value)
    }
}
