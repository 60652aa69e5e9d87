internal import CLinux

/// An error number of the kernel (errno(3), `errno.h`).
public struct Errno: Error, Hashable, Sendable, CustomStringConvertible {
    /// Positive.
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// `EPERM`.
    public static let noPermission = Errno(rawValue: 1)
    /// `ENOENT`.
    public static let noEntry = Errno(rawValue: 2)
    /// `ESRCH`.
    public static let noProcess = Errno(rawValue: 3)
    /// `EINTR`.
    public static let interrupted = Errno(rawValue: 4)
    /// `E2BIG`.
    public static let tooBig = Errno(rawValue: 7)
    /// `EBADF`.
    public static let badDescriptor = Errno(rawValue: 9)
    /// `EAGAIN`.
    public static let wouldBlock = Errno(rawValue: 11)
    /// `ENOMEM`.
    public static let outOfMemory = Errno(rawValue: 12)
    /// `EACCES`.
    public static let accessDenied = Errno(rawValue: 13)
    /// `EBUSY`.
    public static let busy = Errno(rawValue: 16)
    /// `EEXIST`.
    public static let exists = Errno(rawValue: 17)
    /// `ENODEV`.
    public static let noDevice = Errno(rawValue: 19)
    /// `EINVAL`.
    public static let invalid = Errno(rawValue: 22)
    /// `EMFILE`.
    public static let tooManyOpenFiles = Errno(rawValue: 24)
    /// `ENOTDIR`.
    public static let notADirectory = Errno(rawValue: 20)
    /// `ENOTTY`.
    public static let notATerminal = Errno(rawValue: 25)
    /// `ERANGE`.
    public static let outOfRange = Errno(rawValue: 34)
    /// `ELOOP`.
    public static let tooManySymbolicLinks = Errno(rawValue: 40)
    /// `EXFULL`.
    public static let full = Errno(rawValue: 54)
    /// `EOPNOTSUPP`.
    public static let notSupported = Errno(rawValue: 95)
    /// `EADDRNOTAVAIL`.
    public static let addressNotAvailable = Errno(rawValue: 99)
    /// `ENOBUFS`.
    public static let noBufferSpace = Errno(rawValue: 105)
    /// `ENOSPC`.
    public static let noSpace = Errno(rawValue: 28)
    /// `EROFS`.
    public static let readOnly = Errno(rawValue: 30)
    /// `ECONNREFUSED`.
    public static let connectionRefused = Errno(rawValue: 111)
    /// `EDQUOT`.
    public static let quotaExceeded = Errno(rawValue: 122)
    /// `EOVERFLOW`.
    public static let overflow = Errno(rawValue: 75)
    /// `EBADMSG`.
    public static let badMessage = Errno(rawValue: 74)

    /// The symbol, such as `EBUSY` (strerrorname_np(3)).
    public var description: String {
        // SAFETY: the call returns a constant text, or NULL for an unknown number.
        unsafe clinux_error_name(rawValue).map { unsafe String(cString: $0) } ?? "errno \(rawValue)"
    }

    /// The description for people, such as `Device or resource busy` (strerror(3)).
    public var meaning: String {
        var text = [CChar](repeating: 0, count: Self.meaningBytesMax)
        // SAFETY: the call writes at most `text.count` bytes, the terminating NUL included.
        unsafe clinux_error_text(rawValue, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static let meaningBytesMax = 128
}
