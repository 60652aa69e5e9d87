/// A lease's identifier: random, and short enough to type.
public struct LeaseIdentifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    private static let digits = 16

    /// 16 lower-case hexadecimal digits.
    public let text: String

    /// 64 random bits of the system's generator.
    public static func random() -> LeaseIdentifier {
        var generator = SystemRandomNumberGenerator()
        let digits = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
        return LeaseIdentifier(unchecked: String(repeating: "0", count: Self.digits - digits.count) + digits)
    }

    /// `nil` unless the text has the form of `text`.
    public init?(_ text: String) {
        guard text.utf8.count == Self.digits,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.text = text
    }

    private init(unchecked text: String) {
        self.text = text
    }

    /// Same as `text`.
    public var description: String { text }

    /// In byte order.
    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}
