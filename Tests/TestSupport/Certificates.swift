import Foundation

/// A certificate authority and certificates signed by it, made with openssl(1): PEM files in a directory.
public struct Certificates: Sendable {
    /// Where all files are.
    public let directory: String

    /// Makes the authority `ca`.
    ///
    /// - Throws: `TestFailure` if openssl fails.
    public init(in directory: String) throws {
        self.directory = directory
        try run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=Test authority", "-keyout", key("ca"), "-out", certificate("ca"),
            ])
    }

    /// The path of a certificate.
    public func certificate(_ name: String) -> String { "\(directory)/\(name).pem" }
    /// The path of a private key.
    public func key(_ name: String) -> String { "\(directory)/\(name).key" }

    /// The contents of a file.
    public func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// Issues a certificate, signed by the authority.
    ///
    /// - Parameters:
    ///   - name: The name of the files, and the subject's common name.
    ///   - purpose: `serverAuth` or `clientAuth`.
    ///   - names: The alternative names in OpenSSL's syntax: `IP:127.0.0.1`, `DNS:x`, `URI:x:y`.
    ///   - days: The validity, starting now.
    /// - Throws: `TestFailure` if openssl fails.
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

    /// The output of curl(1) for `url`, trusting only this authority.
    ///
    /// - Throws: `TestFailure` if curl fails, for example in the TLS handshake.
    public func curl(_ url: String, as client: String? = nil, _ more: String...) throws -> String {
        let shown = client.map { ["--cert", certificate($0), "--key", key($0)] } ?? []
        return try run(
            "curl",
            ["--silent", "--show-error", "--max-time", "60", "--cacert", certificate("ca")] + shown + more + [url])
    }
}
