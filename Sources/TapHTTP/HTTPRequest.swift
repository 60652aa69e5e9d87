internal import Synchronization

/// A complete request.
public struct HTTPRequest: Sendable {
    /// The request line and the header fields, shared by all copies of the request.
    public let head: RequestHead
    /// Without transfer coding; empty if the request has none.
    public internal(set) var body: [UInt8] = []

    /// A new identifier. It must be unique, not secret: a random number for each process, and a counter.
    public static func newIdentifier() -> String {
        var rest = identifierCount.add(1, ordering: .relaxed).newValue
        // Hexadecimal digits, from the last to the first: `String(_:radix:)` takes several times as long.
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { text in
            var start = text.count
            repeat {
                start -= 1
                unsafe text[start] = digits[Int(rest & 15)]
                rest >>= 4
            } while rest > 0
            for byte in identifierPrefix.reversed() {
                start -= 1
                unsafe text[start] = byte
            }
            return unsafe String(decoding: text[start...], as: UTF8.self)
        }
    }

    /// Short, so that the identifiers of a process have at most 15 bytes, which need no allocation, for a long time.
    private static let identifierPrefix = Array(
        (String(UInt32.random(in: (1 << 28)...UInt32.max), radix: 36) + "-").utf8)
    private static let digits = Array("0123456789abcdef".utf8)
    private static let identifierCount = Atomic<UInt64>(0)
}
