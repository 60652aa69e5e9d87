/// A device's `uid`: random, and never reused (a UUID, RFC 9562).
public struct DeviceIdentifier: Hashable, Sendable {
    /// The first eight bytes, big-endian.
    public let high: UInt64
    /// The last eight bytes, big-endian.
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

extension DeviceIdentifier {
    /// A new random UUID, version 8 (RFC 9562, section 5.8), whose meaning an application defines.
    ///
    /// Earlier releases made version 4. The version decides how the MAC address is derived
    /// (`MACAddress.init(derivedFrom:)`), so that a device keeps its address over an upgrade and whatever restores it.
    public static func random() -> DeviceIdentifier {
        DeviceIdentifier(
            high: .random(in: .min ... .max) & ~0xF000 | 0x8000,
            low: .random(in: .min ... .max) & ~(0b11 << 62) | 0b10 << 62)
    }

    /// The version of the UUID.
    var version: Int { Int(high >> 12 & 0xF) }

    /// Lower-case hexadecimal with hyphens, 36 characters.
    public var text: String {
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (position, byte) in bytes.enumerated() {
            // Hyphens come before the fifth, seventh, ninth and eleventh byte.
            if position >= 4, position <= 10, position.isMultiple(of: 2) { text.append(UInt8(ascii: "-")) }
            text.append(Self.digits[Int(byte >> 4)])
            text.append(Self.digits[Int(byte & 0xF)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// `nil` unless the text is a UUID in the form of `text`.
    public init?(text: String) {
        let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
        guard digits.count == 32, let high = UInt64(String(decoding: digits.prefix(16), as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: digits.suffix(16), as: UTF8.self), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
        guard self.text == text else { return nil }
    }

    private static let digits = Array("0123456789abcdef".utf8)

    private var bytes: [UInt8] {
        [high, low].flatMap { number in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
        }
    }
}
