internal import Glibc
internal import Synchronization
internal import TapCore
public import TapSystem

/// The service manager that started us, systemd or `tapster keep` (sd_notify(3)): it hears how we are, and stores
/// descriptors until our next start, when they are among the `InheritedDescriptors`.
public final class ServiceManager: Sendable {
    /// A manager that is stuck holds nobody for longer.
    private static let sendSecondsMax = 1
    /// Without this message it would kill us in the end, so it has more time.
    private static let readyAttemptsMax = 30
    /// systemd's limit (`FDNAME_MAX`).
    private static let nameBytesMax = 255
    /// All names come back in one string of the environment, for which the kernel has 128 KiB (`MAX_ARG_STRLEN`,
    /// execve(2)). With more of them no next process could be started at all, so there are never more.
    static let allNamesBytesMax = 120 << 10

    private let socket: OwnedDescriptor
    private let names: Mutex<Names>
    /// Whether it has not taken the last message in time. Until it takes one, no other waits: a lease has many queues,
    /// and each would wait as long.
    private let isStuck = Atomic(false)

    fileprivate struct Names {
        /// How many descriptors are stored under each.
        var counts: [String: Int] = [:]
        var bytes = 0
        /// Those that are to be dropped, which the manager has not taken yet.
        var toDrop: [String] = []
    }

    /// - Parameters:
    ///   - path: The value of `NOTIFY_SOCKET`; without one, there is no manager.
    ///   - stored: The names of the `InheritedDescriptors`, which it has still.
    /// - Throws: ENOENT or ECONNREFUSED when nobody listens there.
    public init?(path: String?, stored: [String] = []) throws(Errno) {
        var names = Names()
        for name in stored { names.add(name) }
        self.names = Mutex(names)
        guard let path, path.hasPrefix("/") || path.hasPrefix("@") else { return nil }
        socket = try UnixSocket.connect(datagramsTo: path, sendSecondsMax: Self.sendSecondsMax)
    }

    /// That the start is complete (`READY=1`).
    ///
    /// - Throws: EAGAIN when the manager has not taken it for half a minute; ECONNREFUSED when it has gone.
    public func ready() throws(Errno) {
        for _ in 1..<Self.readyAttemptsMax {
            do throws(Errno) { return try send("READY=1") } catch { if error != .wouldBlock { throw error } }
        }
        try send("READY=1")
    }

    /// That the end has begun. A manager that does not listen is no reason to fail.
    public func stopping() { try? send("STOPPING=1") }

    /// Stores a copy of the descriptor (`FDSTORE=1`). It comes back at every start until it is forgotten, and is ours
    /// to look at, not the manager's to drop (`FDPOLL=0`). The manager keeps one of several descriptors of the same
    /// file.
    ///
    /// - Parameters:
    ///   - number: The descriptor, which stays open here.
    ///   - name: At most 255 bytes of printable ASCII without colons; several descriptors may share one.
    /// - Throws: EINVAL for another name; ENOSPC when there is no room for its name; EAGAIN when the manager has not
    ///   taken it in a second, or at once when it has not taken the one before either; ETOOMANYREFS when it has not
    ///   taken very many. That its store is full, it tells nobody.
    public func keep(_ number: Int32, as name: String) throws(Errno) {
        let name = try Self.checked(name)
        dropForgotten()
        // What is still to be dropped by this name would take the new one along.
        guard !names.withLock({ $0.toDrop.contains(name) }) else { throw .wouldBlock }
        guard names.withLock({ $0.add(name) }) else { throw .noSpace }
        do throws(Errno) {
            try send("FDSTORE=1\nFDPOLL=0\nFDNAME=\(name)", with: [number], waiting: isListening)
        } catch {
            names.withLock { $0.remove(name) }
            throw error
        }
    }

    /// Drops what is stored with this name (`FDSTOREREMOVE=1`).
    ///
    /// - Throws: EINVAL and EAGAIN as `keep` does; then `dropForgotten` tries again.
    public func forget(_ name: String) throws(Errno) {
        let name = try Self.checked(name)
        dropForgotten()
        do throws(Errno) { try drop(name, waiting: isListening) } catch {
            names.withLock { $0.toDrop.append(name) }
            throw error
        }
    }

    /// Says again what the manager has not taken, without waiting.
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
                Array(message.utf8), with: descriptors, over: socket.number, flags: waits ? 0 : Int32(MSG_DONTWAIT))
            isStuck.store(false, ordering: .relaxed)
        } catch {
            if error == .wouldBlock { isStuck.store(true, ordering: .relaxed) }
            throw error
        }
    }

    private var isListening: Bool { !isStuck.load(ordering: .relaxed) }

    /// What `LISTEN_FDNAMES` can hold.
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
    /// - Returns: False when there is no room.
    @discardableResult
    fileprivate mutating func add(_ name: String) -> Bool {
        // With what stands between them.
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
