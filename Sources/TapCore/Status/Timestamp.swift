/// A moment in UTC. `TapCore` does not read a clock; the caller passes the time.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Since 1970-01-01, without leap seconds.
    public let microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Earlier first.
    public static func < (left: Self, right: Self) -> Bool {
        left.microseconds < right.microseconds
    }
}
