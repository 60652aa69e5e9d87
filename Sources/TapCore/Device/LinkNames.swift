/// The name of an interface that Tapster did not make, such as a bridge. The kernel's rules apply (`dev_valid_name()`).
public struct InterfaceName: Hashable, Sendable, CustomStringConvertible {
    /// 1 to `DeviceName.bytesMax` bytes.
    public let text: String

    /// - Throws: `ValidationError` if the kernel would refuse the name.
    public init(_ text: String) throws(ValidationError) {
        guard !text.isEmpty, text.utf8.count <= DeviceName.bytesMax, text != ".", text != ".." else {
            throw ValidationError(
                "an interface name must have 1 to \(DeviceName.bytesMax) bytes and must not be '.' or '..'")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") })
        else {
            throw ValidationError("an interface name must not contain a space, '/', ':' or control character")
        }
        self.text = text
    }

    /// Same as `text`.
    public var description: String { text }
}

/// An alternative name of an interface (`IFLA_ALT_IFNAME`), which may be longer than its main name.
public struct AlternativeName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// `ALTIFNAMSIZ` without the terminating NUL.
    public static let bytesMax = 127
    /// The most alternative names that a device may have.
    public static let countMax = 16

    /// 1 to `bytesMax` ASCII characters.
    public let text: String

    /// - Throws: `ValidationError` if the kernel would refuse the name, or if it needs quoting in a shell.
    public init(_ text: String) throws(ValidationError) {
        guard !text.isEmpty, text.utf8.count <= Self.bytesMax else {
            throw ValidationError("an alternative name must have 1 to \(Self.bytesMax) bytes (ALTIFNAMSIZ)")
        }
        guard text.utf8.allSatisfy(DeviceName.isAllowed), let first = text.utf8.first, first != UInt8(ascii: "-"),
            first != UInt8(ascii: ".")
        else {
            throw ValidationError(
                "an alternative name may contain only letters, digits, '.', '_' and '-' (ASCII), and must begin with a "
                    + "letter, a digit or '_'")
        }
        self.text = text
    }

    /// Same as `text`.
    public var description: String { text }

    /// In byte order.
    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// A description of an interface for people and SNMP (`IFLA_IFALIAS`, `ifAlias` of RFC 2863).
public struct LinkAlias: Hashable, Sendable, CustomStringConvertible {
    /// `IFALIASZ` without the terminating NUL.
    public static let bytesMax = 255

    /// 1 to `bytesMax` bytes of UTF-8.
    public let text: String

    /// - Throws: `ValidationError` if it is empty, too long for the kernel, or contains control characters.
    public init(_ text: String) throws(ValidationError) {
        guard !text.isEmpty, text.utf8.count <= Self.bytesMax else {
            throw ValidationError("an alias must have 1 to \(Self.bytesMax) bytes (IFALIASZ); for none, use null")
        }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw ValidationError("an alias must not contain control characters")
        }
        self.text = text
    }

    /// Same as `text`.
    public var description: String { text }
}
