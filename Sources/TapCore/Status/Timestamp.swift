/// A moment in UTC: microseconds since 1970. `TapCore` reads no clock; whoever calls it passes the time in.
public struct Timestamp: Hashable, Comparable, Sendable {
    public let microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.microseconds < right.microseconds
    }
}
