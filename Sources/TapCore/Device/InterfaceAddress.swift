internal import Glibc

/// An IP address of an interface with the length of its network's prefix, such as `192.0.2.1/24`.
public struct InterfaceAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// How many a device may have.
    public static let countMax = 64

    /// Four bytes or sixteen, as on the wire.
    public let bytes: [UInt8]
    /// In bits.
    public let prefixLength: Int

    public var isIPv6: Bool { bytes.count == 16 }

    /// - Throws: `ValidationError` for anything but an address and a prefix length, and for the addresses that no
    ///   interface may have: unspecified, multicast, broadcast.
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

    /// What the kernel says; nothing unless there are four bytes or sixteen.
    public init?(bytes: [UInt8], prefixLength: Int) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
        self.prefixLength = prefixLength
    }

    /// In the usual form (RFC 5952 for IPv6).
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        // SAFETY: the source has the family's length, and the text fits the longest of both.
        _ = unsafe inet_ntop(isIPv6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(INET6_ADDRSTRLEN))
        let written: [UInt8] = text.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }
        return String(decoding: written, as: UTF8.self) + "/\(prefixLength)"
    }

    public static func < (left: Self, right: Self) -> Bool {
        if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
        if left.bytes != right.bytes { return left.bytes.lexicographicallyPrecedes(right.bytes) }
        return left.prefixLength < right.prefixLength
    }

    private static func parse(_ text: String) -> [UInt8]? {
        // A longer text is no address; and a NUL inside would end it early.
        guard text.utf8.count < Int(INET6_ADDRSTRLEN), !text.utf8.contains(0) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            // SAFETY: the call writes the family's length.
            if unsafe inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }
}
