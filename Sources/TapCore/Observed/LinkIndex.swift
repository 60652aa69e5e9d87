/// The kernel's number for an interface (ifindex). Unique within a network namespace. Another
/// interface can get the number of one that is gone (`TUNSETIFINDEX`).
public struct LinkIndex: RawRepresentable, Hashable, Comparable, Sendable {
    /// `ifi_index` (rtnetlink(7)).
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// Numeric order.
    public static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }
}
