import Foundation
import Glibc
import Testing

/// A real systemd in namespaces of its own, with Tapster installed but not started: see `Tests/Systemd/boot`.
public final class SystemdSandbox {
    /// Whether systemd is installed.
    public static let isAvailable = access("/lib/systemd/systemd", X_OK) == 0

    private let directory: String
    private let script: ChildProcess
    /// The host's process ID of its process 1.
    private let first: String
    /// The daemon inside, started and stopped by systemd.
    public let daemon: Daemon

    /// udev, NetworkManager, libvirt and Open vSwitch, unpacked by `scripts/setup test`.
    private static let neighbours = URL(fileURLWithPath: #filePath).appending(path: "../../../.build-tools/neighbours")
        .standardizedFileURL.path
    /// Whether they are there.
    public static let hasNeighbours = access(neighbours, F_OK) == 0

    /// Boots the system.
    ///
    /// - Parameters:
    ///   - directory: An existing directory.
    ///   - hasNeighbours: Whether it has udev, which is started, NetworkManager, libvirt and Open vSwitch.
    /// - Throws: `TestFailure` if it does not come up.
    public init(in directory: String, hasNeighbours: Bool = false) throws {
        self.directory = directory
        let boot = URL(fileURLWithPath: #filePath).appending(path: "../../Systemd/boot").standardizedFileURL.path
        let log = directory + "/boot"
        let script = try ChildProcess(
            // If this process is killed, the whole system ends.
            "setpriv",
            ["--pdeathsig", "TERM", "--", boot, directory, Daemon.binary] + (hasNeighbours ? [Self.neighbours] : []),
            output: log)
        self.script = script
        do {
            try eventually("systemd is up", within: 60) {
                access(directory + "/init", F_OK) == 0 || !script.isRunning
            }
            first = try String(contentsOfFile: directory + "/init", encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            script.signal(SIGTERM)
            script.wait()
            throw TestFailure("\(error)\n\((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")")
        }
        daemon = Daemon(stoppedIn: "/proc/\(first)/root/run/tapster")
    }

    deinit {
        script.signal(SIGTERM)
        script.wait()
    }

    /// Starts a program inside; its output can be read under this name.
    public func launch(_ words: String..., output name: String) throws -> ChildProcess {
        // The program is nsenter's child; SIGKILL reaches it too.
        let enter = ["--target", first, "--all", "--", "setpriv", "--pdeathsig", "KILL", "--"]
        return try ChildProcess("nsenter", enter + words, output: directory + "/\(name).log")
    }

    /// The program's output so far.
    public func output(_ name: String) -> String {
        (try? String(contentsOfFile: directory + "/\(name).log", encoding: .utf8)) ?? ""
    }

    /// Runs a program inside and waits until it has ended.
    ///
    /// - Returns: Its output.
    /// - Throws: `TestFailure` if it fails.
    @discardableResult
    public func run(_ words: String...) throws -> String {
        try TestSupport.run("nsenter", ["--target", first, "--all"] + words)
    }

    /// A property of Tapster's unit.
    public func property(_ name: String) throws -> String {
        try run("systemctl", "show", "--property", name, "--value", "tapster")
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// How much of the system Tapster's unit can reach, from 0 (nothing) to 10, as systemd-analyze(1) rates it.
    public func exposure() throws -> Double {
        let rated = try run("systemd-analyze", "security", "--no-pager", "tapster.service")
        let line = rated.split(separator: "\n").last { $0.contains("Overall exposure level") } ?? ""
        let words = line.split(separator: ":").last?.split(separator: " ") ?? []
        guard let level = words.lazy.compactMap({ Double($0) }).first else { throw TestFailure("no level: \(rated)") }
        return level
    }

    /// Sends SIGKILL to the daemon, and waits until systemd has started it again.
    public func killDaemon() throws {
        let killed = try property("MainPID")
        try run("systemctl", "kill", "--signal", "KILL", "tapster")
        try eventually("the daemon is started again") {
            try property("MainPID") != killed && property("ActiveState") == "active"
        }
    }

    /// The interface of this name inside; `nil` if none.
    public func interface(_ name: String) throws -> Interface? { try Interface(name, in: "/proc/\(first)/ns/net") }

    /// The journal: messages of Tapster and systemd.
    public var journal: String { (try? run("journalctl", "--no-pager", "--output", "cat")) ?? "" }
}

extension Trait where Self == ConditionTrait {
    /// Runs only where systemd can be booted in namespaces of its own.
    public static var systemd: Self {
        .enabled(if: Privileged.isAvailable && SystemdSandbox.isAvailable, "needs root, /dev/net/tun and systemd")
    }

    /// Runs only where other managers of interfaces can be started beside Tapster.
    public static var neighbours: Self {
        .enabled(
            if: Privileged.isAvailable && SystemdSandbox.isAvailable && SystemdSandbox.hasNeighbours,
            "needs root, /dev/net/tun, systemd and what scripts/setup unpacks")
    }
}
