internal import CGnuTLS
internal import Glibc

/// The certificate and key of a TLS listener, and the authorities of its clients. An instance always has a key that
/// matches its certificate.
///
/// A class, so that printing it in a log cannot show the key.
@safe public final class HTTPTLS: @unchecked Sendable {
    // Unchecked: the texts are written only in `init`, and freed in `deinit`.

    /// TLS 1.2 and 1.3 (RFC 9325).
    static let priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

    let certificates: UnsafeMutablePointer<CChar>
    let key: UnsafeMutablePointer<CChar>
    let clientAuthorities: UnsafeMutablePointer<CChar>?

    /// - Parameters:
    ///   - certificates: The server's certificate and the intermediate ones, in PEM.
    ///   - key: The certificate's private key, in PEM, without a passphrase.
    ///   - clientAuthorities: Certificates of the authorities that sign clients' certificates, in PEM. Clients are then
    ///     asked for a certificate; it is optional, but an invalid one ends the handshake.
    /// - Throws: `HTTPServerError` if one of them cannot be parsed, or the key does not match the certificate.
    public init(certificates: String, key: String, clientAuthorities: String? = nil) throws(HTTPServerError) {
        // SAFETY: `deinit` frees these copies.
        unsafe self.certificates = strdup(certificates)
        unsafe self.key = strdup(key)
        unsafe self.clientAuthorities = clientAuthorities.flatMap { unsafe strdup($0) }
        try check()
    }

    deinit {
        // SAFETY: the library reads them only while it starts, and this object has the only references.
        unsafe explicit_bzero(key, strlen(key))
        unsafe free(key)
        unsafe free(certificates)
        unsafe free(clientAuthorities)
    }

    /// Parses the texts as the library does, which does not report what is wrong.
    private func check() throws(HTTPServerError) {
        var credentials: gnutls_certificate_credentials_t?
        // SAFETY: freed below, and used only before.
        guard unsafe gnutls_certificate_allocate_credentials(&credentials) == 0 else {
            throw HTTPServerError(description: "no memory for TLS")
        }
        defer { unsafe gnutls_certificate_free_credentials(credentials) }
        var certificates = unsafe Self.datum(certificates)
        var key = unsafe Self.datum(key)
        let read = unsafe gnutls_certificate_set_x509_key_mem(credentials, &certificates, &key, GNUTLS_X509_FMT_PEM)
        guard read >= 0 else {
            throw HTTPServerError(
                description: "the TLS certificate and its key cannot be used; they must be PEM, match each other, and "
                    + "have no passphrase: \(unsafe String(cString: gnutls_strerror(read)))")
        }
        guard let authorities = unsafe clientAuthorities else { return }
        var trusted = unsafe Self.datum(authorities)
        let count = unsafe gnutls_certificate_set_x509_trust_mem(credentials, &trusted, GNUTLS_X509_FMT_PEM)
        guard count > 0 else {
            throw HTTPServerError(
                description: "the authority of TLS clients cannot be used; it must be a certificate in PEM: "
                    + (count < 0 ? unsafe String(cString: gnutls_strerror(count)) : "no certificate found"))
        }
    }

    private static func datum(_ text: UnsafeMutablePointer<CChar>) -> gnutls_datum_t {
        // SAFETY: the caller keeps the text alive while it uses the datum.
        unsafe gnutls_datum_t(
            data: UnsafeMutableRawPointer(text).assumingMemoryBound(to: UInt8.self), size: UInt32(strlen(text)))
    }
}

extension HTTPClientCertificate {
    private static let fingerprintBytes = 32
    private static let nameBytesMax = 1_024

    /// The certificate that the client sent and the handshake verified; `nil` if there is none.
    init?(session: OpaquePointer) {
        var count: UInt32 = 0
        // SAFETY: the list belongs to the session, which lives as long as its connection.
        guard let shown = unsafe gnutls_certificate_get_peers(session, &count), count > 0 else { return nil }
        var certificate: gnutls_x509_crt_t?
        guard unsafe gnutls_x509_crt_init(&certificate) == 0, let certificate = unsafe certificate else { return nil }
        defer { unsafe gnutls_x509_crt_deinit(certificate) }
        guard unsafe gnutls_x509_crt_import(certificate, shown, GNUTLS_X509_FMT_DER) == 0 else { return nil }
        var digest = [UInt8](repeating: 0, count: Self.fingerprintBytes)
        var size = digest.count
        guard unsafe gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, &digest, &size) == 0 else {
            return nil
        }
        fingerprint = SHA256.text(digest)
        let names = (0..<UInt32(2)).compactMap { place in
            unsafe Self.text { unsafe gnutls_x509_crt_get_dn_by_oid(certificate, "2.5.4.3", place, 0, $0, $1) }
        }
        commonName = names.count == 1 ? names[0] : nil
    }

    /// The text that `read` writes; `nil` if it fails or is not UTF-8.
    private static func text(
        _ read: (_ bytes: UnsafeMutableRawPointer, _ size: UnsafeMutablePointer<Int>) -> Int32
    ) -> String? {
        var bytes = [UInt8](repeating: 0, count: nameBytesMax)
        var size = bytes.count
        // SAFETY: both pointers are used only during the call, and at most `size` bytes are written.
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe buffer.baseAddress.map { unsafe read($0, &size) } ?? -1
        }
        guard result >= 0, size <= bytes.count else { return nil }
        return String(validating: bytes[..<size], as: UTF8.self)
    }
}
