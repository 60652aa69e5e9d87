import Foundation
import Glibc

/// A program in the calling thread's namespaces, started with posix_spawn(3).
///
/// Foundation's `Process` opens an Internet socket for its run loop, which fails in a namespace without `lo`.
public final class ChildProcess {
    /// The process ID.
    public let identifier: pid_t
    private var status: Int32?

    /// Standard output and standard error go to the file `output`, or are discarded; `environment` is added to ours.
    ///
    /// - Throws: `TestFailure` if there is no such program.
    public init(
        _ program: String, _ arguments: [String], output: String? = nil, environment: [String: String] = [:]
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // A child must not inherit the signals that the test runner ignores or blocks.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let all = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var settings: [UnsafeMutablePointer<CChar>?] = all.map { strdup("\($0)=\($1)") } + [nil]
        defer { for setting in settings { free(setting) } }
        var child: pid_t = 0
        let result = posix_spawnp(&child, program, &actions, &attributes, &words, &settings)
        guard result == 0 else { throw TestFailure("\(program): \(String(cString: strerror(result)))") }
        identifier = child
    }

    /// Sends a signal.
    public func signal(_ number: Int32) {
        if status == nil { kill(identifier, number) }
    }

    /// Sends SIGSTOP and waits until the process is stopped; SIGCONT continues it.
    public func pause() {
        signal(SIGSTOP)
        var found: Int32 = 0
        while waitpid(identifier, &found, WUNTRACED) == -1, errno == EINTR {}
        // It may have ended instead.
        if found & 0xFF != 0x7F { status = found }
    }

    /// Whether the process has not ended yet.
    public var isRunning: Bool {
        if status == nil {
            var found: Int32 = 0
            if waitpid(identifier, &found, WNOHANG) == identifier { status = found }
        }
        return status == nil
    }

    /// Waits until the process has ended.
    ///
    /// - Returns: The exit status, or the negated number of the signal that ended it.
    @discardableResult
    public func wait() -> Int32 {
        if status == nil {
            var found: Int32 = 0
            while waitpid(identifier, &found, 0) == -1, errno == EINTR {}
            status = found
        }
        let status = status ?? 0
        return status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F)
    }
}

/// Runs a program and waits until it has ended.
///
/// - Returns: Its output.
/// - Throws: `TestFailure` if it fails.
@discardableResult
public func run(_ program: String, _ arguments: String...) throws -> String {
    try run(program, arguments)
}

/// Runs a program with an array of arguments, like the function above.
@discardableResult
public func run(_ program: String, _ arguments: [String]) throws -> String {
    let output = "/tmp/tapster-output-\(UInt64.random(in: 0 ... .max))"
    defer { unlink(output) }
    let status = try ChildProcess(program, arguments, output: output).wait()
    let text = (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
    guard status == 0 else { throw TestFailure("\(program) \(arguments.joined(separator: " ")): \(text)") }
    return text
}
