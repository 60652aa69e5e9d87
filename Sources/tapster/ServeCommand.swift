internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import Logging
internal import TapCore
internal import TapHTTP
internal import TapKernel
internal import TapAPI
internal import TapStore
internal import TapSystem

/// `tapster serve`: the daemon.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon in the foreground.",
        discussion: """
            Each option may come from the environment instead, --socket-group from TAPSTER_SOCKET_GROUP, or from the \
            file that --config names, where its key is socketGroup; 'tapster check-config' shows what all of it \
            comes to.

            SIGHUP has it read the file and the tokens again: tokens, roles, allowed hosts and origins and the log's \
            level change at once, the rest with a restart. SIGTERM and SIGINT stop it; the devices stay.
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        // Before anything is opened: what is open now was inherited.
        var kept = Dictionary(InheritedDescriptors.take(), uniquingKeysWith: { first, _ in first })
        let configuration = try attempt { () throws(InvalidConfiguration) in try options.read() }
        let threshold = LogThreshold(configuration.logLevel)
        let log = Logger(label: "tapster") { _ in
            StandardErrorLog(format: configuration.logFormat, threshold: threshold)
        }
        let signals = Signals()
        // The database is for nobody else; the socket sets its own mode.
        umask(0o077)
        if DescriptorLimit.raise() == nil { log.warning("the limit of open files cannot be raised") }
        let manager = serviceManager(log, storing: Array(kept.keys))

        let (access, idle) = try attempt { () throws(InvalidConfiguration) in
            try configuration.policy(
                accounts: SystemAccounts(), owners: [0, geteuid()], listen: configuration.listen)
        }
        for issue in idle { log.warning("a rule is for nobody", metadata: ["rule": "\(issue)"]) }

        try attempt { () throws(HTTPServerError) in try HTTPLibrary.check() }
        let store = try attempt { () throws(StoreError) in try Store(path: configuration.database) }
        let kernel = try attempt { () throws(KernelError) in try LinuxKernel(manager: manager, kept: kept) }
        // Whatever the kernel lets go of shall be closed.
        kept = [:]
        let service = try attempt { () throws(StoreError) in
            try Service(kernel: kernel, store: store, accounts: SystemAccounts(), access: access, log: log) {
                log.info("ready")
                do { try manager?.ready() } catch {
                    log.warning("the service manager does not listen", metadata: ["error": "\(error)"])
                }
            }
        }
        let servers = try makeServers(configuration, service, log)
        for server in servers { try attempt { () throws(HTTPServerError) in try server.start() } }
        try attempt { () throws(ThreadFailure) in try service.start() }
        log.info("serving", metadata: ["socket": "\(configuration.socket)", "database": "\(configuration.database)"])

        let reloading = Reloading(
            options: options, service: service, threshold: threshold, log: log, started: configuration)
        var signal = signals.wait()
        while signal.action == .reload {
            reloading.reload()
            signal = signals.wait()
        }
        log.info("stopping", metadata: ["signal": "\(signal.name)"])
        manager?.stopping()
        service.finishWrites()
        for server in servers { server.stop() }
        service.stop()
        log.info("stopped; the devices stay")
    }

    /// The Unix socket's, and those that are asked for.
    private func makeServers(
        _ configuration: Configuration, _ service: Service, _ log: Logger
    ) throws -> [HTTPServer] {
        let group = socketGroupNumber(configuration.socketGroup, log)
        let listener = try attempt { () throws(HTTPServerError) in
            try HTTPListener(unix: configuration.socket, group: group)
        }
        var servers = [HTTPServer(listener: listener, handler: service.api)]
        if let listen = configuration.listen {
            let tls = try attempt { () throws(InvalidConfiguration) in
                try configuration.tls?.load(owners: [0, geteuid()])
            }
            let listener = try attempt { () throws(HTTPServerError) in
                try HTTPListener(tcp: listen, tls: tls)
            }
            servers.append(HTTPServer(listener: listener, handler: service.api))
            log.info("listening", metadata: ["address": "\(listener)", "tls": "\(tls != nil)"])
        }
        if let metricsListen = configuration.metricsListen {
            let listener = try attempt { () throws(HTTPServerError) in
                try HTTPListener(tcp: metricsListen)
            }
            servers.append(HTTPServer(listener: listener, handler: service.health))
        }
        return servers
    }

    private func serviceManager(_ log: Logger, storing names: [String]) -> ServiceManager? {
        do {
            return try ServiceManager(path: ProcessInfo.processInfo.environment["NOTIFY_SOCKET"], stored: names)
        } catch {
            log.warning("there is no service manager where NOTIFY_SOCKET points", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private func socketGroupNumber(_ name: Principal, _ log: Logger) -> UInt32? {
        let group = SystemAccounts().groupNumber(name)
        if group == nil {
            log.notice(
                "the socket belongs to the daemon's own group: no such group", metadata: ["group": "\(name)"])
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
