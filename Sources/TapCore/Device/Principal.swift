/// A user or a group, as a spec names it: by name or by number.
public enum Principal: Hashable, Sendable, CustomStringConvertible {
    case number(UInt32)
    case name(String)

    /// Shadow's own limit for a login name (`LOGIN_NAME_MAX` less the NUL would be 255; useradd stops at 32).
    static let nameBytesMax = 32

    /// - Throws: `ValidationError` for −1 (`(uid_t)-1` means "nobody" to the kernel) and what does not fit 32 bits.
    public init(_ number: Int) throws(ValidationError) {
        guard let id = UInt32(exactly: number), id != .max else {
            throw ValidationError(
                "\(number) is not a user or group number; it must lie between 0 and \(UInt32.max - 1)")
        }
        self = .number(id)
    }

    /// - Throws: `ValidationError` when no account could have the name.
    public init(_ name: String) throws(ValidationError) {
        guard !name.isEmpty, name.utf8.count <= Self.nameBytesMax else {
            throw ValidationError("an account name has 1 to \(Self.nameBytesMax) bytes")
        }
        guard name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ":") }) else {
            throw ValidationError("an account name has no space, colon or control character")
        }
        self = .name(name)
    }

    /// A number in decimal digits, or a name.
    ///
    /// - Throws: `ValidationError` for what is neither.
    public init(text: String) throws(ValidationError) {
        if let number = Int(text) { try self.init(number) } else { try self.init(text) }
    }

    public var description: String {
        switch self {
        case .number(let id): String(id)
        case .name(let name): name
        }
    }
}

/// Turns account names into numbers: `/etc/passwd`, `/etc/group` and whatever else the host's name service reads.
public protocol Accounts: Sendable {
    /// The number of the user, or nothing when no such user exists.
    func userNumber(_ principal: Principal) -> UInt32?
    /// The number of the group, or nothing when no such group exists.
    func groupNumber(_ principal: Principal) -> UInt32?
}
