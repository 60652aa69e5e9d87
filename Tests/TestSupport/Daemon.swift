import Foundation
import Glibc

/// The real daemon as a process in the calling thread's namespaces.
public final class Daemon {
    /// Where the daemon's files are.
    public let directory: String
    /// The started process: the daemon or its supervisor. `nil` if stopped.
    public private(set) var process: ChildProcess?

    /// The path of the API's Unix socket.
    public var socket: String { directory + "/api.sock" }
    /// The path of the database.
    public let database: String

    /// The path of the executable that was built together with these tests.
    public static var binary: String {
        // The test bundle and the executable are in the same folder.
        Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }?
            .deletingLastPathComponent().appending(path: "tapster").path
            ?? CommandLine.arguments[0].split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/tapster"
    }

    private let options: [String]
    /// Whether it runs under `tapster keep`, which restarts it and keeps its descriptors.
    private let isKept: Bool
    private var killed: pid_t?

    public init(directory: String, options: [String] = []) throws {
        self.directory = directory
        self.options = options
        database = directory + "/tapster.db"
        isKept = false
        try start()
    }

    /// Starts a daemon under `tapster keep`, which restarts it after a kill.
    public init(keptIn directory: String, options: [String] = []) throws {
        self.directory = directory
        self.options = options
        database = directory + "/tapster.db"
        isKept = true
        try start()
    }

    /// A daemon that is not started yet.
    public init(stoppedIn directory: String, database: String? = nil, options: [String] = []) {
        self.directory = directory
        self.database = database ?? directory + "/tapster.db"
        self.options = options
        isKept = false
    }

    deinit {
        // Killing only the supervisor would leave the daemon running.
        if isKept { _ = stop() } else { kill() }
    }

    /// The daemon's own process ID, not its supervisor's.
    public var server: pid_t? {
        guard let process, isKept else { return process?.identifier }
        let children = "/proc/\(process.identifier)/task/\(process.identifier)/children"
        return (try? String(contentsOfFile: children, encoding: .utf8))?.split(separator: " ").first.flatMap {
            pid_t($0)
        }
    }

    /// Starts it without waiting.
    ///
    /// - Parameters:
    ///   - environment: Variables that are added to ours.
    ///   - log: The path of the log, instead of its own file.
    ///   - redirections: Those of a shell that executes the daemon.
    /// - Returns: The process.
    /// - Throws: `TestFailure` if there is no such program.
    @discardableResult
    public func launch(
        environment: [String: String] = [:], log: String? = nil, redirections: String? = nil
    ) throws -> ChildProcess {
        var words = [Self.binary]
        if let redirections { words = ["/bin/sh", "-c", #"exec "$0" "$@" "# + redirections] + words }
        if isKept { words += ["keep", "--", "/bin/sh", "-c", Self.crashScript, crashFile, Self.binary] }
        words += [
            "serve", "--database", database, "--socket", socket, "--socket-group", "0", "--log-level", "warning",
        ]
        let process = try ChildProcess(
            words[0], words.dropFirst() + options, output: log ?? directory + "/log", environment: environment)
        self.process = process
        return process
    }

    /// Sets the crash point for a single start.
    private var crashFile: String { directory + "/crash" }
    private static let crashScript =
        #"if [ -e "$0" ]; then TAPSTER_CRASH_AT=$(cat "$0"); export TAPSTER_CRASH_AT; rm "$0"; fi; exec "$@""#

    /// Restarts a kept daemon so that it ends itself at this crash point and is then started again.
    public func restart(crashingAt point: String) throws {
        try point.write(toFile: crashFile, atomically: true, encoding: .utf8)
        kill()
        try start()
    }

    /// Waits until the process `previous` has ended by itself and its successor is ready.
    public func waitForRestart(after previous: pid_t) throws {
        killed = previous
        try start()
    }

    /// Starts it and waits until it is ready.
    public func start(environment: [String: String] = [:]) throws {
        // The supervisor restarts a kept daemon.
        if !isKept || process == nil { try launch(environment: environment) }
        try waitUntilReady()
    }

    /// Waits until the launched daemon is ready.
    public func waitUntilReady() throws {
        guard let process else { throw TestFailure("the daemon was not launched") }
        try eventually("the daemon is ready", within: 30) {
            guard process.isRunning else { throw TestFailure("the daemon ended with \(process.wait()): \(log)") }
            guard killed == nil || server != killed else { return false }
            return (try? HTTPClient(socket: socket).send("GET", "/readyz").status) == 200
        }
    }

    /// The contents of its log.
    public var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }

    /// Sends SIGKILL, which the daemon cannot handle.
    public func kill() {
        if isKept {
            killed = server
            if let killed { Glibc.kill(killed, SIGKILL) }
            return
        }
        process?.signal(SIGKILL)
        process?.wait()
    }

    /// Sends SIGTERM and waits until it has ended.
    ///
    /// - Returns: The exit status.
    public func stop() -> Int32? {
        process?.signal(SIGTERM)
        return process?.wait()
    }

    /// Opens a connection.
    public func connect() throws -> HTTPClient { try HTTPClient(socket: socket) }

    /// Sends one request on a connection of its own.
    public func send(_ method: String, _ target: String, json: String? = nil) throws -> Answer {
        let client = try connect()
        guard let json else { return try client.send(method, target) }
        return try client.send(method, target, json: json)
    }
}
