internal import ArgumentParser
internal import Foundation

/// The options that `serve` and `check-config` share.
struct ConfigurationOptions: ParsableArguments {
    @Option(help: "The configuration file; default: \(ConfigurationFile.defaultPath), if it exists.")
    var config: String?

    @Option(help: "The SQLite database; created if it does not exist.")
    var database: String?

    @Option(help: "The API's Unix socket.")
    var socket: String?

    @Option(help: "The group that may use the socket, by name or number.")
    var socketGroup: String?

    @Option(help: "The API's TCP address, such as 127.0.0.1:8480; clients need a token or a known certificate.")
    var listen: String?

    @Option(help: "A TCP address, such as 127.0.0.1:9480, for /metrics, /livez and /readyz only; unauthenticated.")
    var metricsListen: String?

    @Option(help: "The certificate chain of --listen, in PEM.")
    var tlsCertificateFile: String?

    @Option(help: "The certificate's private key, in PEM.")
    var tlsKeyFile: String?

    @Option(help: "The authorities that sign clients' certificates, in PEM.")
    var tlsClientAuthorityFile: String?

    @Option(help: "The file of 'tapster token'; default: \(TokensFile.defaultPath), if it exists.")
    var tokensFile: String?

    @Option(help: "The lowest level that is logged: debug, info, warning or error.")
    var logLevel: String?

    @Option(help: "The format of log lines, which go to standard error: text or json.")
    var logFormat: String?

    /// The options on the command line.
    private var given: [Setting: String] {
        let all: [Setting: String?] = [
            .database: database, .socket: socket, .socketGroup: socketGroup, .listen: listen,
            .metricsListen: metricsListen, .certificateFile: tlsCertificateFile, .keyFile: tlsKeyFile,
            .clientAuthorityFile: tlsClientAuthorityFile, .tokensFile: tokensFile, .logLevel: logLevel,
            .logFormat: logFormat,
        ]
        return all.compactMapValues { $0 }
    }

    /// Reads all sources.
    ///
    /// - Throws: `InvalidConfiguration` with all mistakes of all sources.
    func read() throws(InvalidConfiguration) -> Configuration {
        try Configuration(
            options: given, environment: ProcessInfo.processInfo.environment,
            file: ConfigurationFile.path(named: config))
    }
}
