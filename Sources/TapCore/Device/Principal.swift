/// A user or a group of a spec, by name or by number.
public enum Principal: Hashable, Sendable, CustomStringConvertible {
    case number(UInt32)
    case name(String)

    /// The limit of useradd(8); `LOGIN_NAME_MAX` without the NUL would be 255.
    static let nameBytesMax = 32

    /// - Throws: `ValidationError` unless the number fits 32 bits, and for `(uid_t)-1`, the kernel's "no user".
    public init(_ number: Int) throws(ValidationError) {
        guard let id = UInt32(exactly: number), id != .max else {
            throw ValidationError(
                "\(number) is not a user or group number; it must lie between 0 and \(UInt32.max - 1)")
        }
        self = .number(id)
    }

    /// - Throws: `ValidationError` if no account can have the name.
    public init(_ name: String) throws(ValidationError) {
        guard !name.isEmpty, name.utf8.count <= Self.nameBytesMax else {
            throw ValidationError("an account name must have 1 to \(Self.nameBytesMax) bytes")
        }
        guard name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ":") }) else {
            throw ValidationError("an account name must not contain a space, colon or control character")
        }
        self = .name(name)
    }

    /// A number in decimal digits, or a name.
    ///
    /// - Throws: `ValidationError` if it can be neither.
    public init(text: String) throws(ValidationError) {
        if let number = Int(text) { try self.init(number) } else { try self.init(text) }
    }

    /// The number or the name.
    public var description: String {
        switch self {
        case .number(let id): String(id)
        case .name(let name): name
        }
    }
}

/// Resolves account names to numbers through the host's name service (nsswitch.conf(5)).
public protocol Accounts: Sendable {
    /// The user's number (UID); `nil` if no such user exists.
    func userNumber(_ principal: Principal) -> UInt32?
    /// The group's number (GID); `nil` if no such group exists.
    func groupNumber(_ principal: Principal) -> UInt32?
    /// The name of a user; `nil` if the number has none.
    func userName(_ number: UInt32) -> String?
}
