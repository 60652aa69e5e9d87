internal import ArgumentParser
internal import Foundation

/// The options of `serve`, which `check-config` has too.
struct ConfigurationOptions: ParsableArguments {
    @Option(help: "The configuration file; \(ConfigurationFile.defaultPath) where there is one.")
    var config: String?

    @Option(help: "The SQLite database; made if it does not exist.")
    var database: String?

    @Option(help: "The API's Unix socket.")
    var socket: String?

    @Option(help: "The group that may use the socket, by name or number.")
    var socketGroup: String?

    @Option(help: "An address such as 127.0.0.1:8480 that serves the API to who has a token or a known certificate.")
    var listen: String?

    @Option(help: "An address such as 127.0.0.1:9480 that serves /metrics, /livez and /readyz alone, to everybody.")
    var metricsListen: String?

    @Option(help: "The certificate chain of --listen, in PEM.")
    var tlsCertificateFile: String?

    @Option(help: "The certificate's private key, in PEM.")
    var tlsKeyFile: String?

    @Option(help: "The authorities that vouch for clients' certificates, in PEM.")
    var tlsClientAuthorityFile: String?

    @Option(help: "The tokens that 'tapster token' makes; \(TokensFile.defaultPath) where there is one.")
    var tokensFile: String?

    @Option(help: "The least severe level that is logged: debug, info, warning or error.")
    var logLevel: String?

    @Option(help: "How logs are written to standard error: text or json.")
    var logFormat: String?

    /// Those that were given.
    private var given: [Setting: String] {
        let all: [Setting: String?] = [
            .database: database, .socket: socket, .socketGroup: socketGroup, .listen: listen,
            .metricsListen: metricsListen, .certificateFile: tlsCertificateFile, .keyFile: tlsKeyFile,
            .clientAuthorityFile: tlsClientAuthorityFile, .tokensFile: tokensFile, .logLevel: logLevel,
            .logFormat: logFormat,
        ]
        return all.compactMapValues { $0 }
    }

    /// Reads all sources, now.
    func read() throws(InvalidConfiguration) -> Configuration {
        try Configuration(
            options: given, environment: ProcessInfo.processInfo.environment,
            file: ConfigurationFile.path(named: config))
    }
}
