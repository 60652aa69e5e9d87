internal import Glibc
internal import Synchronization
internal import TapCore
public import TapSystem

/// The service manager that started the daemon: systemd or `tapster keep` (sd_notify(3)). It receives the daemon's
/// status, and stores descriptors, which the next start of the daemon finds among its `InheritedDescriptors`.
public final class ServiceManager: Sendable {
    /// How long a message waits for a manager that does not read.
    private static let sendSecondsMax = 1
    /// How often `READY=1` is tried: without it the manager would kill the daemon at the start timeout.
    private static let readyAttemptsMax = 30
    /// systemd's limit (`FDNAME_MAX`).
    private static let nameBytesMax = 255
    /// Limit of all names together, each with a separator. The next process gets them in one environment string, which
    /// the kernel limits to 128 KiB (`MAX_ARG_STRLEN`, execve(2)); with a longer one it could not be started.
    static let allNamesBytesMax = 120 << 10

    private let socket: OwnedDescriptor
    private let names: Mutex<Names>
    /// Whether the last message timed out. Until the manager accepts one again, messages do not wait for it: a lease
    /// has many queues, and each would wait as long.
    private let isStuck = Atomic(false)

    fileprivate struct Names {
        /// How many descriptors are stored under each name.
        var counts: [String: Int] = [:]
        /// The size of all names, each with a separator.
        var bytes = 0
        /// Names whose removal the manager has not accepted yet.
        var toDrop: [String] = []
    }

    /// - Parameters:
    ///   - path: The value of `NOTIFY_SOCKET`. The result is `nil` if this is `nil` or not the address of a Unix
    ///     socket.
    ///   - stored: The names of the `InheritedDescriptors`, of which the manager still stores copies.
    /// - Throws: ENOENT or ECONNREFUSED if no manager listens there.
    public init?(path: String?, stored: [String] = []) throws(Errno) {
        var names = Names()
        for name in stored { names.add(name) }
        self.names = Mutex(names)
        guard let path, path.hasPrefix("/") || path.hasPrefix("@") else { return nil }
        socket = try UnixSocket.connect(datagramsTo: path, sendSecondsMax: Self.sendSecondsMax)
    }

    /// Reports that the start is complete (`READY=1`).
    ///
    /// - Throws: EAGAIN if the manager has not accepted it within half a minute; ECONNREFUSED if it has ended.
    public func ready() throws(Errno) {
        for _ in 1..<Self.readyAttemptsMax {
            do throws(Errno) { return try send("READY=1") } catch { if error != .wouldBlock { throw error } }
        }
        try send("READY=1")
    }

    /// Reports that the daemon is stopping (`STOPPING=1`). Errors are ignored, since the daemon stops anyway.
    public func stopping() { try? send("STOPPING=1") }

    /// Has the manager store a copy of the descriptor (`FDSTORE=1`), which every start gets until `forget`. The manager
    /// must not poll it and drop it at a hang-up (`FDPOLL=0`). Of several descriptors of the same open file it keeps
    /// one.
    ///
    /// - Parameters:
    ///   - number: The descriptor, which stays open here.
    ///   - name: At most 255 bytes of printable ASCII without colons; several descriptors may share one.
    /// - Throws: EINVAL for an invalid name; ENOSPC if there is no room for the name; EAGAIN if the manager has not
    ///   accepted the message within a second, or at once if it has not accepted the one before either; ETOOMANYREFS if
    ///   very many descriptors wait for it. The manager does not report that its store is full.
    public func keep(_ number: Int32, as name: String) throws(Errno) {
        let name = try Self.checked(name)
        dropForgotten()
        // A pending removal of this name would remove the new descriptor too.
        guard !names.withLock({ $0.toDrop.contains(name) }) else { throw .wouldBlock }
        guard names.withLock({ $0.add(name) }) else { throw .noSpace }
        do throws(Errno) {
            try send("FDSTORE=1\nFDPOLL=0\nFDNAME=\(name)", with: [number], waiting: isListening)
        } catch {
            names.withLock { $0.remove(name) }
            throw error
        }
    }

    /// Has the manager drop all descriptors that it stores under this name (`FDSTOREREMOVE=1`).
    ///
    /// - Throws: EINVAL for an invalid name; other errors as `keep` does, after which `dropForgotten` tries again.
    public func forget(_ name: String) throws(Errno) {
        let name = try Self.checked(name)
        dropForgotten()
        do throws(Errno) { try drop(name, waiting: isListening) } catch {
            names.withLock { $0.toDrop.append(name) }
            throw error
        }
    }

    /// Repeats the removals that the manager has not accepted, without waiting.
    public func dropForgotten() {
        while let name = names.withLock({ $0.toDrop.first }), (try? drop(name, waiting: false)) != nil {
            names.withLock { _ = $0.toDrop.removeFirst() }
        }
    }

    private func drop(_ name: String, waiting waits: Bool) throws(Errno) {
        try send("FDSTOREREMOVE=1\nFDNAME=\(name)", waiting: waits)
        names.withLock { $0.remove(name) }
    }

    private func send(
        _ message: String, with descriptors: [Int32] = [], waiting waits: Bool = true
    ) throws(Errno) {
        do throws(Errno) {
            try DescriptorPassing.send(
                Array(message.utf8), with: descriptors, over: socket.number, flags: waits ? 0 : MessageFlag.doNotWait)
            isStuck.store(false, ordering: .relaxed)
        } catch {
            if error == .wouldBlock { isStuck.store(true, ordering: .relaxed) }
            throw error
        }
    }

    private var isListening: Bool { !isStuck.load(ordering: .relaxed) }

    /// - Throws: EINVAL if `LISTEN_FDNAMES` cannot contain the name.
    private static func checked(_ name: String) throws(Errno) -> String {
        guard isName(name) else { throw .invalid }
        return name
    }

    static func isName(_ text: String) -> Bool {
        text.utf8.count <= nameBytesMax
            && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
    }
}

extension ServiceManager.Names {
    /// - Returns: False if there is no room.
    @discardableResult
    fileprivate mutating func add(_ name: String) -> Bool {
        // With the separator.
        let size = name.utf8.count + 1
        guard bytes + size <= ServiceManager.allNamesBytesMax else { return false }
        bytes += size
        counts[name, default: 0] += 1
        return true
    }

    fileprivate mutating func remove(_ name: String) {
        bytes -= (name.utf8.count + 1) * (counts.removeValue(forKey: name) ?? 0)
    }
}
