/// An Ethernet address (IEEE 802, EUI-48).
public struct MACAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The six bytes, the first on the wire in bits 40 to 47.
    public let rawValue: UInt64

    /// - Throws: `ValidationError` unless the text is six two-digit hexadecimal bytes joined by colons, and for the
    ///   zero address and multicast addresses, which the kernel refuses (`is_valid_ether_addr()`).
    public init(_ text: String) throws(ValidationError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var value: UInt64 = 0
        guard parts.count == 6 else { throw Self.malformed(text) }
        for part in parts {
            guard part.utf8.count == 2, part.first != "+", part.first != "-", let byte = UInt8(part, radix: 16) else {
                throw Self.malformed(text)
            }
            value = value << 8 | UInt64(byte)
        }
        guard value != 0 else {
            throw ValidationError("the MAC address is all zero, which no interface may have")
        }
        guard value >> 40 & 1 == 0 else {
            throw ValidationError("the MAC address \(text) is a multicast address; the first byte must be even")
        }
        rawValue = value
    }

    /// An address as the kernel reports it; `nil` unless there are six bytes (a tun has none).
    public init?(bytes: [UInt8]) {
        guard bytes.count == 6 else { return nil }
        var value: UInt64 = 0
        for byte in bytes { value = value << 8 | UInt64(byte) }
        rawValue = value
    }

    /// The address of a device whose spec has none: unicast, locally administered, and derived from the identifier
    /// alone, so that a restart or a repair restores it. It is set explicitly, since udev's `MACAddressPolicy=`
    /// rewrites addresses that the kernel generated.
    ///
    /// It begins with `fe`: a bridge takes the lowest address of its ports as its own
    /// (`br_stp_recalculate_bridge_id()` in `net/bridge/br_stp_if.c`), and would change it with a lower one that joins
    /// or leaves. The addresses of devices of earlier releases begin with any byte, and stay.
    public init(derivedFrom identifier: DeviceIdentifier) {
        let bits = (identifier.high ^ (identifier.low &* 0x9E37_79B9_7F4A_7C15)) >> 16
        rawValue =
            identifier.version == 8
            ? bits & 0x00FF_FFFF_FFFF | 0xFE00_0000_0000 : bits & 0xFCFF_FFFF_FFFF | 0x0200_0000_0000
    }

    /// The order of the bytes on the wire, by which a bridge chooses its own.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// Six bytes, in network order.
    public var bytes: [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * $0)) }
    }

    /// Lower-case hexadecimal with colons.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    private static func malformed(_ text: String) -> ValidationError {
        ValidationError("'\(text)' is not a MAC address such as 02:00:5e:10:00:01")
    }
}
