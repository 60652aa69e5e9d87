internal import CLinux

/// Reads rtnetlink's route messages (rtnetlink(7)). Pure, as `LinkMessage` is.
enum RouteMessage {
    /// Whether an `RTM_NEWROUTE` is about a route that the kernel has made from a router advertisement: a default or
    /// more specific route, or one to a prefix, which the kernel marks as its own and which expires.
    ///
    ///     struct rtmsg: | family 1 | destination bits 1 | source bits 1 | TOS 1 | table 1 | protocol 1 | … 12 bytes
    static func isLearned(_ payload: RawSpan) throws(MalformedNetlink) -> Bool {
        let origin = Int32(try payload.load(UInt8.self, at: 5))
        if origin == RTPROT_RA { return true }
        guard origin == RTPROT_KERNEL else { return false }
        var expires: Int32 = 0
        try walkAttributes(payload, from: headerBytes) { (type, value) throws(MalformedNetlink) in
            // struct rta_cacheinfo: two numbers of 32 bits, then the time.
            if type == Int(RTA_CACHEINFO.rawValue) { expires = try value.load(Int32.self, at: 8) }
        }
        return expires != 0
    }

    /// `sizeof(struct rtmsg)`.
    private static let headerBytes = 12
}
