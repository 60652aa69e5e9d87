internal import Synchronization

/// A complete request.
public struct HTTPRequest: Sendable {
    /// The request line and the header fields, shared by all copies of the request.
    public let head: RequestHead
    /// Without transfer coding; empty if the request has none.
    public internal(set) var body: [UInt8] = []

    /// A new identifier. It must be unique, not secret: a random number for each process, and a counter.
    public static func newIdentifier() -> String {
        identifierPrefix + String(identifierCount.add(1, ordering: .relaxed).newValue, radix: 36)
    }

    /// Short, so that the identifiers of a process have at most 15 bytes, which need no allocation, for a long time.
    private static let identifierPrefix = String(UInt32.random(in: (1 << 28)...UInt32.max), radix: 36) + "-"
    private static let identifierCount = Atomic<UInt64>(0)
}
