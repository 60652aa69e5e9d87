internal import CLinux

/// An error number of the kernel (`errno.h`).
public struct Errno: Error, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    public static let noPermission = Errno(rawValue: 1)
    public static let noEntry = Errno(rawValue: 2)
    public static let interrupted = Errno(rawValue: 4)
    public static let tooBig = Errno(rawValue: 7)
    public static let badDescriptor = Errno(rawValue: 9)
    public static let wouldBlock = Errno(rawValue: 11)
    public static let outOfMemory = Errno(rawValue: 12)
    public static let accessDenied = Errno(rawValue: 13)
    public static let busy = Errno(rawValue: 16)
    public static let exists = Errno(rawValue: 17)
    public static let noDevice = Errno(rawValue: 19)
    public static let invalid = Errno(rawValue: 22)
    public static let tooManyOpenFiles = Errno(rawValue: 24)
    public static let notADirectory = Errno(rawValue: 20)
    public static let notATerminal = Errno(rawValue: 25)
    public static let outOfRange = Errno(rawValue: 34)
    public static let tooManySymbolicLinks = Errno(rawValue: 40)
    public static let full = Errno(rawValue: 54)
    public static let addressNotAvailable = Errno(rawValue: 99)
    public static let noBufferSpace = Errno(rawValue: 105)
    public static let noSpace = Errno(rawValue: 28)
    public static let readOnly = Errno(rawValue: 30)
    public static let connectionRefused = Errno(rawValue: 111)
    public static let quotaExceeded = Errno(rawValue: 122)
    public static let overflow = Errno(rawValue: 75)
    public static let badMessage = Errno(rawValue: 74)

    /// The symbol, such as `EBUSY` (strerrorname_np(3)).
    public var description: String {
        // SAFETY: the call returns a constant text, or NULL for a number that it does not know.
        unsafe clinux_error_name(rawValue).map { unsafe String(cString: $0) } ?? "errno \(rawValue)"
    }

    /// What it means, for people, such as `Device or resource busy` (strerror(3)).
    public var meaning: String {
        var text = [CChar](repeating: 0, count: Self.meaningBytesMax)
        // SAFETY: the call writes at most as many bytes, and ends the text with a NUL.
        unsafe clinux_error_text(rawValue, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static let meaningBytesMax = 128
}
