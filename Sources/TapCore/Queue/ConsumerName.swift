/// Who reads queues: a VMM, a user-space data plane.
///
/// It stands in paths, queries and shells without quotes.
public struct ConsumerName: Hashable, Comparable, Sendable, CustomStringConvertible {
    public static let bytesMax = 63

    public let text: String

    /// - Throws: `ValidationError` when it is empty or too long, or has other signs than it may.
    public init(_ text: String) throws(ValidationError) {
        let bytes = text.utf8
        guard let first = bytes.first else {
            throw ValidationError("the consumer is empty; name who reads the queue in 1 to \(Self.bytesMax) characters")
        }
        guard bytes.count <= Self.bytesMax else {
            throw ValidationError(
                "the consumer has \(bytes.count) bytes, but at most \(Self.bytesMax) are kept; choose a shorter name")
        }
        guard bytes.allSatisfy(DeviceName.isAllowed) else {
            throw ValidationError("the consumer may contain only letters, digits, '-', '_' and '.' (ASCII)")
        }
        guard first != UInt8(ascii: "-"), first != UInt8(ascii: "_"), first != UInt8(ascii: ".") else {
            throw ValidationError("the consumer must begin with a letter or a digit")
        }
        self.text = text
    }

    public var description: String { text }

    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}
