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
            Each option can also be set by an environment variable, such as TAPSTER_SOCKET_GROUP for --socket-group, \
            or by the key socketGroup in the file of --config. An option takes precedence over a variable, and a \
            variable over the file. 'tapster check-config' shows the result.

            SIGHUP reloads the file and the tokens: tokens, roles, allowed hosts and origins and the log level change \
            at once; other settings need a restart. SIGTERM and SIGINT stop the daemon; the devices stay.
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        // Before this process opens a descriptor: those that are open now were inherited.
        var kept = Dictionary(InheritedDescriptors.take(), uniquingKeysWith: { first, _ in first })
        let configuration = try attempt { () throws(InvalidConfiguration) in try options.read() }
        let threshold = LogThreshold(configuration.logLevel)
        let signals = Signals()
        let lines = LogWriter(format: configuration.logFormat)
        try attempt { () throws(ThreadFailure) in try lines.start() }
        defer { lines.stop() }
        let log = Logger(label: "tapster") { _ in
            StandardErrorLog(format: configuration.logFormat, threshold: threshold, writer: lines)
        }
        // No other user may read the database; the socket gets its mode separately.
        umask(0o077)
        if DescriptorLimit.raise() == nil { log.warning("the limit of open files cannot be raised") }
        let manager = serviceManager(log, storing: Array(kept.keys))

        let access = try accessPolicy(configuration, log)
        try attempt { () throws(HTTPServerError) in try HTTPLibrary.check() }
        let store = try attempt { () throws(StoreError) in try Store(path: configuration.database) }
        let marks = interfaceMarks(configuration, log)
        let kernel = try attempt { () throws(KernelError) in
            try LinuxKernel(manager: manager, marks: marks, kept: kept)
        }
        // Drops these references, so that a descriptor closes as soon as `kernel` drops its own.
        kept = [:]
        let service = try attempt { () throws(StoreError) in
            try Service(
                kernel: kernel, store: store, accounts: SystemAccounts(), access: access, log: log,
                droppedLogLines: { lines.droppedCount }
            ) {
                log.info("ready")
                do { try manager?.ready() } catch {
                    log.warning("the service manager cannot be notified", metadata: ["error": "\(error)"])
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

    private func accessPolicy(_ configuration: Configuration, _ log: Logger) throws -> AccessPolicy {
        let (policy, unknownPrincipals) = try attempt { () throws(InvalidConfiguration) in
            try configuration.policy(
                accounts: SystemAccounts(), owners: [0, geteuid()], listen: configuration.listen)
        }
        for issue in unknownPrincipals {
            log.warning("a rule names an unknown user or group", metadata: ["rule": "\(issue)"])
        }
        return policy
    }

    /// The server on the Unix socket, and those on TCP that the configuration asks for.
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
            log.warning("no service manager listens on NOTIFY_SOCKET", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Marks of interfaces, if the socket is at its default place: udev's rules look beside it.
    private func interfaceMarks(_ configuration: Configuration, _ log: Logger) -> InterfaceMarks? {
        guard configuration.socket == Setting.socket.fallback else { return nil }
        do throws(KernelError) { return try InterfaceMarks(folder: InterfaceMarks.defaultFolder) } catch {
            log.warning("udev's rules cannot recognize Tapster's interfaces", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private func socketGroupNumber(_ name: Principal, _ log: Logger) -> UInt32? {
        let group = SystemAccounts().groupNumber(name)
        if group == nil {
            log.notice(
                "the socket gets the daemon's own group: the configured one does not exist",
                metadata: ["group": "\(name)"])
        }
        return group
    }

    /// Rethrows a failure as a `StartFailure`, which is printed as one line without the error's type.
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
