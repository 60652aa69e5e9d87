internal import Glibc

/// An IP address of an interface with its prefix length, such as `192.0.2.1/24`.
public struct InterfaceAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The most addresses that a device may have.
    public static let countMax = 64

    /// Four or sixteen bytes, in network order.
    public let bytes: [UInt8]
    /// In bits.
    public let prefixLength: Int

    /// Otherwise IPv4.
    public var isIPv6: Bool { bytes.count == 16 }

    /// - Throws: `ValidationError` unless the text is an address and a prefix length, and for addresses that no tap or
    ///   tun may have: unspecified, loopback (IPv6), multicast, broadcast.
    public init(_ text: String) throws(ValidationError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let bytes = Self.parse(String(parts[0])) else {
            throw ValidationError("'\(text.prefix(64))' is not an address with a prefix length, such as 192.0.2.1/24")
        }
        let digits = parts[1]
        guard let length = Int(digits), String(length) == digits, (1...bytes.count * 8).contains(length) else {
            throw ValidationError("the prefix length of '\(text.prefix(64))' must be 1 to \(bytes.count * 8)")
        }
        let isMulticast = bytes.count == 4 ? bytes[0] >= 224 : bytes[0] == 0xFF
        let isLoopback = bytes.count == 16 && bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
        guard !isMulticast, !isLoopback, bytes.contains(where: { $0 != 0 }) else {
            throw ValidationError(
                "'\(text.prefix(64))' is multicast, broadcast, loopback or unspecified; "
                    + "no tap or tun device can have it"
            )
        }
        self.bytes = bytes
        prefixLength = length
    }

    /// An address as the kernel reports it; `nil` unless it has four or sixteen bytes.
    public init?(bytes: [UInt8], prefixLength: Int) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
        self.prefixLength = prefixLength
    }

    /// Canonical text, such as `192.0.2.1/24` (for IPv6 RFC 5952).
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        // SAFETY: the source has the family's length, and the buffer fits the longest text of both families.
        _ = unsafe inet_ntop(isIPv6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(INET6_ADDRSTRLEN))
        let written: [UInt8] = text.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }
        return String(decoding: written, as: UTF8.self) + "/\(prefixLength)"
    }

    /// IPv4 before IPv6, then by bytes, then by prefix length.
    public static func < (left: Self, right: Self) -> Bool {
        if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
        if left.bytes != right.bytes { return left.bytes.lexicographicallyPrecedes(right.bytes) }
        return left.prefixLength < right.prefixLength
    }

    private static func parse(_ text: String) -> [UInt8]? {
        // A longer text is not an address, and inet_pton(3) would stop at a NUL.
        guard text.utf8.count < Int(INET6_ADDRSTRLEN), !text.utf8.contains(0) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            // SAFETY: the call writes as many bytes as the family's addresses have.
            if unsafe inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }
}
