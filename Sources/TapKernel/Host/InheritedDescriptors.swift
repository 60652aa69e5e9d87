internal import Glibc
internal import TapCore
public import TapSystem

/// The descriptors that the service manager has passed to this process (sd_listen_fds_with_names(3)).
public enum InheritedDescriptors {
    /// The number of the first one, after standard input, output and error (`SD_LISTEN_FDS_START`).
    static let first: Int32 = 3
    /// The kernel's default limit of a process's open files (`fs.nr_open`).
    private static let countMax = 1 << 20
    private static let unknownName = "unknown"

    /// Takes ownership of them, sets close-on-exec, and removes their variables from the environment, so that a child
    /// does not take them as its own.
    ///
    /// Must be called while there is one thread, and before anything is opened: descriptors that are open then were
    /// inherited.
    ///
    /// - Returns: The descriptors in the manager's order, which is not the order in which they were stored.
    public static func take() -> [(name: String, descriptor: OwnedDescriptor)] {
        var settings: [String: String] = [:]
        for key in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] {
            // SAFETY: there is no other thread that could change the environment; the text is copied.
            if let value = unsafe getenv(key) { settings[key] = unsafe String(cString: value) }
            _ = unsafe unsetenv(key)
        }
        return take(settings, process: getpid())
    }

    /// Takes ownership of the descriptors if the settings are for `process`.
    ///
    /// The manager passes consecutive numbers, so descriptors after a closed number are not from it, and are left
    /// alone.
    static func take(
        _ settings: [String: String], process: Int32, first: Int32 = first
    ) -> [(name: String, descriptor: OwnedDescriptor)] {
        guard settings["LISTEN_PID"].flatMap({ Int32($0) }) == process,
            let count = settings["LISTEN_FDS"].flatMap({ Int($0) }), (1...countMax).contains(count)
        else { return [] }
        let names = settings["LISTEN_FDNAMES"]?.split(separator: ":", omittingEmptySubsequences: false) ?? []
        var taken: [(name: String, descriptor: OwnedDescriptor)] = []
        for position in 0..<count {
            let number = first + Int32(position)
            // EBADF if it is not open: then there is nothing to own, and the list ends.
            guard fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else { break }
            let name = position < names.count ? String(names[position]) : unknownName
            taken.append((name, OwnedDescriptor(owning: number)))
        }
        return taken
    }
}
