/// The name of a device, which is the name of its network interface.
///
/// Stricter than `dev_valid_name()` in `net/core/dev.c`, so that a name needs no quoting in a shell, a path or a URL.
/// The kernel silently truncates a longer name; here it is an error.
public struct DeviceName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// `IFNAMSIZ` without the terminating NUL.
    public static let bytesMax = 15

    /// 1 to `bytesMax` ASCII characters.
    public let text: String

    /// - Throws: `ValidationError` if the kernel would refuse, truncate or expand (`%d`) the name, or if it needs
    ///   quoting.
    public init(_ text: String) throws(ValidationError) {
        let bytes = text.utf8.span
        guard !bytes.isEmpty else {
            throw ValidationError("the name is empty; it needs 1 to \(Self.bytesMax) characters")
        }
        guard bytes.count <= Self.bytesMax else {
            throw ValidationError(
                "the name has \(bytes.count) bytes, but the kernel keeps at most \(Self.bytesMax) (IFNAMSIZ)")
        }
        guard bytes.indices.allSatisfy({ Self.isAllowed(bytes[$0]) }) else {
            throw ValidationError("the name may contain only letters, digits, '.', '_' and '-' (ASCII)")
        }
        guard bytes[0] != UInt8(ascii: "-"), bytes[0] != UInt8(ascii: ".") else {
            throw ValidationError("the name must begin with a letter, a digit or '_'")
        }
        // `all` and `default` are directories in /proc/sys/net/ipv4/conf; `lo` is each namespace's loopback device.
        guard text != "all", text != "default", text != "lo" else {
            throw ValidationError("the name '\(text)' is reserved by the kernel")
        }
        self.text = text
    }

    /// Same as `text`.
    public var description: String { text }

    /// In byte order.
    public static func < (left: Self, right: Self) -> Bool {
        left.text < right.text
    }

    static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
