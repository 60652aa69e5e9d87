import Foundation
import Glibc
import Testing

/// A real systemd in namespaces of its own, with Tapster installed and not started: see `Tests/Systemd/boot`.
public final class SystemdSandbox {
    public static let isAvailable = access("/lib/systemd/systemd", X_OK) == 0

    private let directory: String
    private let script: ChildProcess
    /// Its process 1, as the host numbers it.
    private let first: String
    /// Its Tapster, which systemd starts and ends.
    public let daemon: Daemon

    /// Boots it.
    ///
    /// - Parameter directory: A directory of the caller's.
    /// - Throws: `TestFailure` when it does not come up.
    public init(in directory: String) throws {
        self.directory = directory
        let boot = URL(fileURLWithPath: #filePath).appending(path: "../../Systemd/boot").standardizedFileURL.path
        let log = directory + "/boot"
        let script = try ChildProcess(
            // Should this process die, all of it goes.
            "setpriv", ["--pdeathsig", "TERM", "--", boot, directory, Daemon.binary], output: log)
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

    /// Starts a program in it, whose output is asked for by this name.
    public func launch(_ words: String..., output name: String) throws -> ChildProcess {
        // The program is nsenter's child; SIGKILL reaches it too.
        let enter = ["--target", first, "--all", "--", "setpriv", "--pdeathsig", "KILL", "--"]
        return try ChildProcess("nsenter", enter + words, output: directory + "/\(name).log")
    }

    /// What it has written so far.
    public func output(_ name: String) -> String {
        (try? String(contentsOfFile: directory + "/\(name).log", encoding: .utf8)) ?? ""
    }

    /// Runs a program in it to its end.
    ///
    /// - Returns: What it wrote.
    /// - Throws: `TestFailure` when it fails.
    @discardableResult
    public func run(_ words: String...) throws -> String {
        try TestSupport.run("nsenter", ["--target", first, "--all"] + words)
    }

    /// What systemd knows of Tapster's unit.
    public func property(_ name: String) throws -> String {
        try run("systemctl", "show", "--property", name, "--value", "tapster")
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// SIGKILL, and waits until systemd has started another.
    public func killDaemon() throws {
        let killed = try property("MainPID")
        try run("systemctl", "kill", "--signal", "KILL", "tapster")
        try eventually("the daemon is started again") {
            try property("MainPID") != killed && property("ActiveState") == "active"
        }
    }

    public func interface(_ name: String) throws -> Interface? { try Interface(name, in: "/proc/\(first)/ns/net") }

    /// What Tapster and systemd have said.
    public var journal: String { (try? run("journalctl", "--no-pager", "--output", "cat")) ?? "" }
}

extension Trait where Self == ConditionTrait {
    /// Runs only where a systemd can be booted beside the host's.
    public static var systemd: Self {
        .enabled(if: Privileged.isAvailable && SystemdSandbox.isAvailable, "needs root, /dev/net/tun and systemd")
    }
}
