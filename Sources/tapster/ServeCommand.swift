internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import Logging
internal import TapCore
internal import TapHTTP
internal import TapKernel
internal import TapService
internal import TapStore

/// `tapster serve`: the daemon.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon in the foreground.",
        discussion: "Each option may come from the environment instead: --database from TAPSTER_DATABASE, and so on.")

    @Option(help: "The SQLite database; made if it does not exist.")
    var database = Environment.value("DATABASE") ?? "/var/lib/tapster/tapster.db"

    @Option(help: "The API's Unix socket.")
    var socket = Environment.value("SOCKET") ?? "/run/tapster/api.sock"

    @Option(help: "The group that may use the socket, by name or number.")
    var socketGroup = Environment.value("SOCKET_GROUP") ?? "tapster"

    @Option(help: "An address such as 127.0.0.1:9480 that serves /metrics, /livez and /readyz alone, to everybody.")
    var metricsListen: String?

    @Option(help: "The least severe level that is logged: debug, info, warning or error.")
    var logLevel = Environment.value("LOG_LEVEL") ?? "info"

    @Option(help: "How logs are written to standard error: text or json.")
    var logFormat = Environment.value("LOG_FORMAT") ?? "text"

    func validate() throws {
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ArgumentParser.ValidationError(
                "--log-level is '\(logLevel)', but must be debug, info, warning or error")
        }
        guard LogFormat(rawValue: logFormat) != nil else {
            throw ArgumentParser.ValidationError("--log-format is '\(logFormat)', but must be text or json")
        }
    }

    func run() throws {
        // Before anything is opened: what is open now was inherited.
        var kept = Dictionary(InheritedDescriptors.take(), uniquingKeysWith: { first, _ in first })
        let log = makeLogger()
        let signals = StopSignals()
        // The database is for nobody else; the socket sets its own mode.
        umask(0o077)
        if DescriptorLimit.raise() == nil { log.warning("the limit of open files cannot be raised") }
        let manager = serviceManager(log, storing: Array(kept.keys))

        let store = try attempt { () throws(StoreError) in try Store(path: database) }
        let kernel = try attempt { () throws(KernelError) in try LinuxKernel(manager: manager, kept: kept) }
        // Whatever the kernel lets go of shall be closed.
        kept = [:]
        let service = try attempt { () throws(StoreError) in
            try Service(kernel: kernel, store: store, accounts: SystemAccounts(), log: log) {
                log.info("ready")
                do { try manager?.ready() } catch {
                    log.warning("the service manager does not listen", metadata: ["error": "\(error)"])
                }
            }
        }
        let listener = try attempt { () throws(HTTPServerError) in
            try HTTPListener(unix: socket, group: socketGroupNumber(log))
        }
        var servers = [HTTPServer(listener: listener, handler: service.api)]
        if let metricsListen = metricsListen ?? Environment.value("METRICS_LISTEN") {
            let metricsListener = try attempt { () throws(HTTPServerError) in try HTTPListener(tcp: metricsListen) }
            servers.append(HTTPServer(listener: metricsListener, handler: service.health))
        }
        for server in servers { try attempt { () throws(HTTPServerError) in try server.start() } }
        service.start()
        log.info("serving", metadata: ["socket": "\(socket)", "database": "\(database)"])

        let signal = signals.wait()
        log.info("stopping", metadata: ["signal": "\(signal)"])
        manager?.stopping()
        service.finishWrites()
        for server in servers { server.stop() }
        service.stop()
        log.info("stopped; the devices stay")
    }

    private func makeLogger() -> Logger {
        let level = Logger.Level(rawValue: logLevel) ?? .info
        let format = LogFormat(rawValue: logFormat) ?? .text
        return Logger(label: "tapster") { _ in StandardErrorLog(format: format, logLevel: level) }
    }

    private func serviceManager(_ log: Logger, storing names: [String]) -> ServiceManager? {
        do {
            return try ServiceManager(path: ProcessInfo.processInfo.environment["NOTIFY_SOCKET"], stored: names)
        } catch {
            log.warning("there is no service manager where NOTIFY_SOCKET points", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private func socketGroupNumber(_ log: Logger) -> UInt32? {
        let group = (try? Int(socketGroup).map { try Principal($0) } ?? Principal(socketGroup))
            .flatMap { SystemAccounts().groupNumber($0) }
        if group == nil {
            log.notice(
                "the socket belongs to the daemon's own group: no such group", metadata: ["group": "\(socketGroup)"])
        }
        return group
    }

    /// A failure at the start is one line, not a stack of types.
    private func attempt<Value, Failure: Error & CustomStringConvertible>(
        _ body: () throws(Failure) -> Value
    ) throws -> Value {
        do throws(Failure) {
            return try body()
        } catch {
            throw StartFailure(description: error.description)
        }
    }
}

/// Why the daemon did not start.
struct StartFailure: Error, CustomStringConvertible {
    let description: String
}

/// Settings from the environment: `TAPSTER_` and the option's name.
enum Environment {
    static func value(_ name: String) -> String? {
        ProcessInfo.processInfo.environment["TAPSTER_" + name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
