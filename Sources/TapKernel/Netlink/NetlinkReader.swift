internal import CLinux
internal import TapCore

/// Bytes that are not a valid netlink message.
struct MalformedNetlink: Error, Hashable {
    let reason: String
}

/// Bounds-checked reads of numbers in the host's byte order, and of text.
extension RawSpan {
    /// - Throws: `MalformedNetlink` if the number lies beyond the span's end.
    func load<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type, at offset: Int = 0)
        throws(MalformedNetlink) -> Number
    {
        guard offset >= 0, byteCount - offset >= MemoryLayout<Number>.size else {
            throw MalformedNetlink(reason: "\(MemoryLayout<Number>.size) bytes at \(offset) of \(byteCount)")
        }
        // SAFETY: the bounds are checked above, and every bit pattern is an integer.
        return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: Number.self)
    }

    /// Text up to the first NUL. Invalid UTF-8 is replaced, since an interface's name may have any bytes.
    func text() -> String {
        unsafe withUnsafeBytes { bytes in
            // SAFETY: the buffer lives for the closure, which copies what it needs.
            let end = unsafe bytes.firstIndex(of: 0) ?? bytes.count
            return unsafe String(decoding: bytes[0..<end], as: UTF8.self)
        }
    }

    func byteArray() -> [UInt8] {
        byteOffsets.map { offset in
            // SAFETY: `offset` lies within the span.
            unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
        }
    }
}

/// The header of one message (`struct nlmsghdr`).
struct NetlinkHeader: Hashable {
    static let bytes = 16

    let type: UInt16
    let flags: UInt16
    let sequence: UInt32

    var isDumpInterrupted: Bool { flags & UInt16(NLM_F_DUMP_INTR) != 0 }
}

/// Calls `body` for each message of one datagram.
///
/// - Throws: `MalformedNetlink` if a length is below the header's or above what is left.
func walkMessages(
    _ datagram: RawSpan, _ body: (NetlinkHeader, RawSpan) throws(MalformedNetlink) -> Void
) throws(MalformedNetlink) {
    var offset = 0
    while datagram.byteCount - offset >= NetlinkHeader.bytes {
        let length = Int(try datagram.load(UInt32.self, at: offset))
        guard length >= NetlinkHeader.bytes, length <= datagram.byteCount - offset else {
            throw MalformedNetlink(reason: "message of \(length) bytes, \(datagram.byteCount - offset) left")
        }
        let header = NetlinkHeader(
            type: try datagram.load(UInt16.self, at: offset + 4),
            flags: try datagram.load(UInt16.self, at: offset + 6),
            sequence: try datagram.load(UInt32.self, at: offset + 8))
        try body(header, datagram.extracting(offset + NetlinkHeader.bytes..<offset + length))
        offset += aligned(length)
    }
}

/// Calls `body` for each attribute of a message or of a nested attribute (`struct nlattr`), in their order. The caller
/// must skip unknown types.
///
/// - Throws: `MalformedNetlink` if a length is below the header's four bytes or above what is left.
func walkAttributes(
    _ span: RawSpan, from start: Int = 0, _ body: (Int, RawSpan) throws(MalformedNetlink) -> Void
) throws(MalformedNetlink) {
    var offset = start
    while span.byteCount - offset >= 4 {
        let length = Int(try span.load(UInt16.self, at: offset))
        guard length >= 4, length <= span.byteCount - offset else {
            throw MalformedNetlink(reason: "attribute of \(length) bytes, \(span.byteCount - offset) left")
        }
        let type = Int(try span.load(UInt16.self, at: offset + 2)) & Int(attributeTypeMask)
        try body(type, span.extracting(offset + 4..<offset + length))
        offset += aligned(length)
    }
}

/// `NLA_TYPE_MASK`: the type without the nested and byte-order flags. Swift does not import macros that are
/// expressions.
private let attributeTypeMask: UInt16 = 0x3FFF

/// `NLMSG_ALIGN` and `NLA_ALIGN`, which are the same.
private func aligned(_ length: Int) -> Int {
    (length + 3) & ~3
}
