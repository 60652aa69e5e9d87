internal import CLinux

/// Builds netlink messages by appending, and patches each length when its part is closed (RFC 3549, section 2.2).
///
///     0         4      6      8        12       16
///     | length  | type | flags| sequence| port  | payload, then attributes: | length | type | value, padded to 4 |
struct NetlinkWriter {
    private(set) var bytes: [UInt8] = []
    private var messageStart = 0

    /// Begins a message; `end()` closes it.
    mutating func begin(type: UInt16, flags: UInt16, sequence: UInt32) {
        messageStart = bytes.count
        append(UInt32(0))
        append(type)
        append(flags)
        append(sequence)
        append(UInt32(0))
    }

    mutating func end() {
        patch(UInt32(bytes.count - messageStart), at: messageStart)
    }

    mutating func append(_ value: some FixedWidthInteger) {
        // SAFETY: the closure copies the number's bytes and keeps nothing.
        unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }

    /// `struct ifinfomsg`.
    mutating func appendInterface(
        family: Int32 = AF_UNSPEC, index: Int32, flags: UInt32 = 0, change: UInt32 = 0
    ) {
        append(UInt8(family))
        append(UInt8(0))
        append(UInt16(0))
        append(index)
        append(flags)
        append(change)
    }

    /// `struct ifaddrmsg`.
    mutating func appendAddress(family: Int32, prefixLength: UInt8, flags: UInt8 = 0, index: Int32) {
        append(UInt8(family))
        append(prefixLength)
        append(flags)
        append(UInt8(0))
        append(index)
    }

    /// `struct rtmsg` without a filter but the family.
    mutating func appendRoute(family: Int32) {
        append(UInt32(family))
        append(UInt32(0))
        append(UInt32(0))
    }

    /// A body that the kernel has sent.
    mutating func append(_ body: [UInt8]) { bytes += body }

    /// `struct if_stats_msg`.
    mutating func appendStatistics(index: UInt32, filter: UInt32) {
        append(UInt32(AF_UNSPEC))
        append(index)
        append(filter)
    }

    mutating func attribute(_ type: Int, _ value: UInt32) {
        attribute(type) { $0.append(value) }
    }

    mutating func attribute(_ type: Int, bytes value: [UInt8]) {
        attribute(type) { $0.bytes += value }
    }

    /// A string attribute with its closing NUL.
    mutating func attribute(_ type: Int, text: String) {
        attribute(type) { $0.bytes += Array(text.utf8) + [0] }
    }

    /// An attribute whose value `body` appends; the value may be attributes.
    mutating func attribute(_ type: Int, _ body: (inout NetlinkWriter) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(UInt16(type))
        body(&self)
        patch(UInt16(bytes.count - start), at: start)
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func patch(_ value: some FixedWidthInteger, at offset: Int) {
        // SAFETY: the closure copies the number's bytes and keeps nothing.
        unsafe withUnsafeBytes(of: value) { source in
            for position in 0..<source.count { bytes[offset + position] = unsafe source[position] }
        }
    }
}
