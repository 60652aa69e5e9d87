internal import CGnuTLS

/// SHA-256 (FIPS 180-4), by GnuTLS, which TLS needs anyway.
public enum SHA256 {
    /// Length of a digest.
    public static let byteCount = 32

    /// The digest of `bytes`, 32 bytes.
    public static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: byteCount)
        // SAFETY: the call reads the first array and writes 32 bytes to the second, during the call.
        let result = unsafe gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, bytes.count, &digest)
        precondition(result == GNUTLS_E_SUCCESS, "GnuTLS has no SHA-256")
        return digest
    }

    /// A digest in lower-case hexadecimal digits.
    public static func text(_ digest: [UInt8]) -> String {
        digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Compares in constant time, so that the duration does not reveal where the digests differ.
    public static func isEqual(_ digest: [UInt8], _ other: [UInt8]) -> Bool {
        // SAFETY: both arrays have `digest.count` bytes.
        unsafe digest.count == other.count && gnutls_memcmp(digest, other, digest.count) == 0
    }
}
