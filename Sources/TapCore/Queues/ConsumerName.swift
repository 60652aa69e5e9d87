/// The name of a consumer: a process that reads queues, such as a VMM or a user-space data plane.
///
/// It needs no quoting in paths, queries and shells.
public struct ConsumerName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Our own limit.
    public static let bytesMax = 63

    /// 1 to `bytesMax` ASCII characters.
    public let text: String

    /// - Throws: `ValidationError` if the name is empty or too long, or contains other characters than letters, digits,
    ///   '-', '_' and '.', or does not begin with a letter or a digit.
    public init(_ text: String) throws(ValidationError) {
        let bytes = text.utf8
        guard let first = bytes.first else {
            throw ValidationError("the consumer name is empty; it needs 1 to \(Self.bytesMax) characters")
        }
        guard bytes.count <= Self.bytesMax else {
            throw ValidationError(
                "the consumer name has \(bytes.count) bytes; at most \(Self.bytesMax) are allowed")
        }
        guard bytes.allSatisfy(DeviceName.isAllowed) else {
            throw ValidationError("the consumer name may contain only letters, digits, '-', '_' and '.' (ASCII)")
        }
        guard first != UInt8(ascii: "-"), first != UInt8(ascii: "_"), first != UInt8(ascii: ".") else {
            throw ValidationError("the consumer name must begin with a letter or a digit")
        }
        self.text = text
    }

    /// Same as `text`.
    public var description: String { text }

    /// In byte order.
    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}
