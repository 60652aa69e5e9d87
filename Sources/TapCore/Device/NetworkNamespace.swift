/// The location of a network namespace other than the daemon's own: a name, as in ip-netns(8), or a path.
public struct NetworkNamespace: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The directory in which iproute2 keeps named namespaces.
    public static let directory = "/run/netns/"
    static let nameBytesMax = 200
    static let pathBytesMax = 1_023

    /// The name or path as configured.
    public let text: String

    /// - Throws: `ValidationError` unless the text is a file name or an absolute path.
    public init(_ text: String) throws(ValidationError) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ValidationError("a network namespace must be printable ASCII without spaces")
        }
        if text.utf8.first == UInt8(ascii: "/") {
            guard text.utf8.count <= Self.pathBytesMax else {
                throw ValidationError("the path has \(text.utf8.count) bytes; at most \(Self.pathBytesMax) are allowed")
            }
        } else {
            guard !text.isEmpty, text.utf8.count <= Self.nameBytesMax, text != ".", text != "..",
                !text.utf8.contains(UInt8(ascii: "/"))
            else {
                throw ValidationError(
                    "a network namespace must be a name of at most \(Self.nameBytesMax) bytes without '/', as "
                        + "'ip netns' lists it, or an absolute path")
            }
        }
        self.text = text
    }

    /// Absolute path of the namespace file.
    public var path: String {
        text.utf8.first == UInt8(ascii: "/") ? text : Self.directory + text
    }

    /// Same as `text`.
    public var description: String { text }

    /// In byte order.
    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}
