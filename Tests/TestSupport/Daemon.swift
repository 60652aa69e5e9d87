import Foundation
import Glibc

/// The real daemon as a process of the calling thread's namespace.
public final class Daemon {
    public let directory: String
    public private(set) var process: ChildProcess?

    public var socket: String { directory + "/api.sock" }
    public let database: String

    /// The binary that was built with these tests.
    public static var binary: String {
        // Test bundle and executable lie side by side.
        Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }?
            .deletingLastPathComponent().appending(path: "tapster").path
            ?? CommandLine.arguments[0].split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/tapster"
    }

    private let options: [String]
    /// Whether it has a supervisor, `tapster keep`, which starts it again and keeps its descriptors.
    private let isKept: Bool
    private var killed: pid_t?

    public init(directory: String, options: [String] = []) throws {
        self.directory = directory
        self.options = options
        database = directory + "/tapster.db"
        isKept = false
        try start()
    }

    /// One that is started again when it has been killed.
    public init(keptIn directory: String, options: [String] = []) throws {
        self.directory = directory
        self.options = options
        database = directory + "/tapster.db"
        isKept = true
        try start()
    }

    /// Not started yet.
    public init(stoppedIn directory: String, database: String? = nil) {
        self.directory = directory
        self.database = database ?? directory + "/tapster.db"
        options = []
        isKept = false
    }

    deinit {
        // A supervisor that is killed would leave the daemon behind.
        if isKept { _ = stop() } else { kill() }
    }

    /// The daemon itself, not its supervisor.
    public var server: pid_t? {
        guard let process, isKept else { return process?.identifier }
        let children = "/proc/\(process.identifier)/task/\(process.identifier)/children"
        return (try? String(contentsOfFile: children, encoding: .utf8))?.split(separator: " ").first.flatMap {
            pid_t($0)
        }
    }

    /// Starts it, and does not wait.
    ///
    /// - Parameters:
    ///   - environment: What it gets on top of ours.
    ///   - log: Where its log goes instead of its own file.
    /// - Returns: The process.
    /// - Throws: `TestFailure` when there is no such program.
    @discardableResult
    public func launch(environment: [String: String] = [:], log: String? = nil) throws -> ChildProcess {
        let process = try ChildProcess(
            Self.binary,
            (isKept ? ["keep", "--", "/bin/sh", "-c", Self.crashScript, crashFile, Self.binary] : []) + [
                "serve", "--database", database, "--socket", socket, "--socket-group", "0", "--log-level", "warning",
            ] + options, output: log ?? directory + "/log", environment: environment)
        self.process = process
        return process
    }

    /// Has the point of a crash, for one start.
    private var crashFile: String { directory + "/crash" }
    private static let crashScript =
        #"if [ -e "$0" ]; then TAPSTER_CRASH_AT=$(cat "$0"); export TAPSTER_CRASH_AT; rm "$0"; fi; exec "$@""#

    /// Starts what is kept anew, as one that will die when it comes to this point, and then be started again.
    public func restart(crashingAt point: String) throws {
        try point.write(toFile: crashFile, atomically: true, encoding: .utf8)
        kill()
        try start()
    }

    /// Waits until it has died by itself, and is back.
    public func waitForRestart(after died: pid_t) throws {
        killed = died
        try start()
    }

    /// Starts it, and waits until it is ready.
    public func start(environment: [String: String] = [:]) throws {
        // What is kept is started again without us.
        let process = if isKept, let process { process } else { try launch(environment: environment) }
        try eventually("the daemon is ready", within: 30) {
            guard process.isRunning else { throw TestFailure("the daemon ended with \(process.wait()): \(log)") }
            guard killed == nil || server != killed else { return false }
            return (try? HTTPClient(socket: socket).send("GET", "/readyz").status) == 200
        }
    }

    /// What it has written to its log.
    public var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }

    /// SIGKILL: the daemon has no say in it.
    public func kill() {
        if isKept {
            killed = server
            if let killed { Glibc.kill(killed, SIGKILL) }
            return
        }
        process?.signal(SIGKILL)
        process?.wait()
    }

    /// SIGTERM.
    ///
    /// - Returns: The exit status.
    public func stop() -> Int32? {
        process?.signal(SIGTERM)
        return process?.wait()
    }

    public func connect() throws -> HTTPClient { try HTTPClient(socket: socket) }

    /// One request on a connection of its own.
    public func send(_ method: String, _ target: String, json: String? = nil) throws -> Answer {
        let client = try connect()
        guard let json else { return try client.send(method, target) }
        return try client.send(method, target, json: json)
    }
}
