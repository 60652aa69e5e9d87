internal import Glibc
internal import TapCore
public import TapSystem

/// The descriptors that the service manager has passed to us (sd_listen_fds_with_names(3)).
public enum InheritedDescriptors {
    /// Standard input, output and error come before (`SD_LISTEN_FDS_START`).
    static let first: Int32 = 3
    /// No process has more open (`fs.nr_open`).
    private static let countMax = 1 << 20
    private static let unknownName = "unknown"

    /// Takes them, close-on-exec, and clears the environment of them, so that no child believes they are for it.
    ///
    /// To be called before anything is opened, and while there is one thread: what is open then was inherited.
    ///
    /// - Returns: In the manager's order, which is not that in which they were stored.
    public static func take() -> [(name: String, descriptor: OwnedDescriptor)] {
        var settings: [String: String] = [:]
        for key in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] {
            // SAFETY: there is no other thread that could change the environment; the text is copied.
            if let value = unsafe getenv(key) { settings[key] = unsafe String(cString: value) }
            _ = unsafe unsetenv(key)
        }
        return take(settings, process: getpid())
    }

    /// Takes what the settings say is for `process`.
    ///
    /// A manager leaves no gap, so that what comes after a closed number is not from it, and is left alone.
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
            // EBADF when it is not open; then nobody owns it.
            guard fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else { break }
            let name = position < names.count ? String(names[position]) : unknownName
            taken.append((name, OwnedDescriptor(owning: number)))
        }
        return taken
    }
}
