/// The name of an interface that others made, such as a bridge: whatever the kernel takes (`dev_valid_name()`).
public struct InterfaceName: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    /// - Throws: `ValidationError` when no interface can have the name.
    public init(_ text: String) throws(ValidationError) {
        guard !text.isEmpty, text.utf8.count <= DeviceName.bytesMax, text != ".", text != ".." else {
            throw ValidationError("an interface's name has 1 to \(DeviceName.bytesMax) bytes and is not '.' or '..'")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") })
        else {
            throw ValidationError("an interface's name has no space, '/', ':' or control character")
        }
        self.text = text
    }

    public var description: String { text }
}

/// A further name of an interface (`IFLA_ALT_IFNAME`), which may be longer than its own.
public struct AlternativeName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// `ALTIFNAMSIZ` less the closing NUL.
    public static let bytesMax = 127
    /// How many a device may have.
    public static let countMax = 16

    public let text: String

    /// - Throws: `ValidationError` when the kernel would refuse it, or a shell would need quotes for it.
    public init(_ text: String) throws(ValidationError) {
        guard !text.isEmpty, text.utf8.count <= Self.bytesMax else {
            throw ValidationError("an alternative name has 1 to \(Self.bytesMax) bytes (ALTIFNAMSIZ)")
        }
        guard text.utf8.allSatisfy(DeviceName.isAllowed), let first = text.utf8.first, first != UInt8(ascii: "-"),
            first != UInt8(ascii: ".")
        else {
            throw ValidationError(
                "an alternative name has only letters, digits, '.', '_' and '-' (ASCII), and begins with none of the "
                    + "signs but '_'")
        }
        self.text = text
    }

    public var description: String { text }

    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// A note on an interface for people and SNMP (`IFLA_IFALIAS`, `ifAlias` of RFC 2863).
public struct LinkAlias: Hashable, Sendable, CustomStringConvertible {
    /// `IFALIASZ` less the closing NUL.
    public static let bytesMax = 255

    public let text: String

    /// - Throws: `ValidationError` when it is empty, too long for the kernel, or has control characters.
    public init(_ text: String) throws(ValidationError) {
        guard !text.isEmpty, text.utf8.count <= Self.bytesMax else {
            throw ValidationError("an alias has 1 to \(Self.bytesMax) bytes (IFALIASZ); null means none")
        }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw ValidationError("an alias has no control characters")
        }
        self.text = text
    }

    public var description: String { text }
}
