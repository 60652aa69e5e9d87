import Foundation

/// An authority and what it has signed, made by openssl(1): PEM files in a directory.
public struct Certificates: Sendable {
    public let directory: String

    /// Makes the authority `ca`.
    ///
    /// - Throws: `TestFailure` when openssl fails.
    public init(in directory: String) throws {
        self.directory = directory
        try run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=Test authority", "-keyout", key("ca"), "-out", certificate("ca"),
            ])
    }

    public func certificate(_ name: String) -> String { "\(directory)/\(name).pem" }
    public func key(_ name: String) -> String { "\(directory)/\(name).key" }

    public func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// A certificate by the authority.
    ///
    /// - Parameters:
    ///   - name: Of the files, and the subject's common name.
    ///   - purpose: `serverAuth` or `clientAuth`.
    ///   - names: As OpenSSL writes alternative names: `IP:127.0.0.1`, `DNS:x`, `URI:x:y`.
    ///   - days: Until it ends; it began now.
    /// - Throws: `TestFailure` when openssl fails.
    public func issue(_ name: String, purpose: String, names: String, days: Int = 1) throws {
        let request = "\(directory)/\(name).request"
        let extensions = "\(directory)/\(name).extensions"
        try "extendedKeyUsage=\(purpose)\nsubjectAltName=\(names)\n".write(
            toFile: extensions, atomically: true, encoding: .utf8)
        try run(
            "openssl",
            [
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)",
                "-keyout", key(name), "-out", request,
            ])
        try run(
            "openssl",
            [
                "x509", "-req", "-in", request, "-CA", certificate("ca"), "-CAkey", key("ca"), "-CAcreateserial",
                "-days", "\(days)", "-extfile", extensions, "-out", certificate(name),
            ])
    }

    /// What curl(1) says to `url`, trusting the authority alone.
    ///
    /// - Throws: `TestFailure` when curl fails, as it does when the handshake does.
    public func curl(_ url: String, as client: String? = nil, _ more: String...) throws -> String {
        let shown = client.map { ["--cert", certificate($0), "--key", key($0)] } ?? []
        return try run(
            "curl",
            ["--silent", "--show-error", "--max-time", "60", "--cacert", certificate("ca")] + shown + more + [url])
    }
}
