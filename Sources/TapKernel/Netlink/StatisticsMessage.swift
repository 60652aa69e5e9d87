internal import CLinux
internal import TapCore

/// Decodes rtnetlink's statistics messages (`RTM_GETSTATS`). Pure, as `LinkMessage` is.
enum StatisticsMessage {
    /// `IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)`: the kernel leaves out all other statistics.
    static let filter = UInt32(1) << (UInt32(IFLA_STATS_LINK_64) - 1)

    /// Decodes an `RTM_NEWSTATS`; `nil` if it has no counters of the link.
    ///
    ///     struct if_stats_msg: | family 1 | padding 3 | interface 4 | filter 4 |
    static func decode(_ payload: RawSpan) throws(MalformedNetlink) -> (LinkIndex, LinkStatistics)? {
        guard payload.byteCount >= headerBytes else {
            throw MalformedNetlink(reason: "statistics message of \(payload.byteCount) bytes")
        }
        let index = LinkIndex(rawValue: try payload.load(Int32.self, at: 4))
        var statistics: LinkStatistics?
        try walkAttributes(payload, from: headerBytes) { (type, value) throws(MalformedNetlink) in
            if type == Int(IFLA_STATS_LINK_64) { statistics = try counters(value) }
        }
        return statistics.map { (index, $0) }
    }

    /// `sizeof(struct if_stats_msg)`.
    private static let headerBytes = 12

    /// Decodes the beginning of `struct rtnl_link_stats64`, which newer kernels extend at its end. Each number has 8
    /// bytes:
    ///
    ///     | rx packets | tx packets | rx bytes | tx bytes | rx errors | tx errors | rx dropped | tx dropped |
    private static func counters(_ span: RawSpan) throws(MalformedNetlink) -> LinkStatistics {
        var statistics = LinkStatistics()
        statistics.received.packets = try span.load(UInt64.self, at: 0)
        statistics.transmitted.packets = try span.load(UInt64.self, at: 8)
        statistics.received.bytes = try span.load(UInt64.self, at: 16)
        statistics.transmitted.bytes = try span.load(UInt64.self, at: 24)
        statistics.received.errors = try span.load(UInt64.self, at: 32)
        statistics.transmitted.errors = try span.load(UInt64.self, at: 40)
        statistics.received.dropped = try span.load(UInt64.self, at: 48)
        statistics.transmitted.dropped = try span.load(UInt64.self, at: 56)
        return statistics
    }
}
