public import TapCore

/// The permission that a route requires of its caller.
public enum Permission: UInt8, CaseIterable, Sendable {
    /// Access to the listener is enough: by the mode of the Unix socket, or over TCP by a token or a certificate.
    case open
    /// To read specs and status.
    case view
    /// To lease queues of any device. A device's owner and group may lease its queues without it.
    case lease
    /// To change devices, assignments and leases.
    case operate
    /// To back up the database.
    case administer
}

/// A set of permissions.
struct Permissions: OptionSet, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ permissions: Permission...) {
        rawValue = permissions.reduce(0) { $0 | 1 << $1.rawValue }
    }

    /// Permissions of a caller without a role.
    static let guest = Permissions(.open)

    func contains(_ permission: Permission) -> Bool { rawValue & 1 << permission.rawValue != 0 }
}

/// A named set of permissions. A caller with several roles has the permissions of all.
public enum Role: String, CaseIterable, Sendable {
    case viewer
    case consumer
    case `operator`
    case admin

    var permissions: Permissions {
        switch self {
        case .viewer: Permissions(.open, .view)
        case .consumer: Permissions(.open, .view, .lease)
        case .operator: Permissions(.open, .view, .operate)
        case .admin: Permissions(.open, .view, .lease, .operate, .administer)
        }
    }
}

extension Role {
    /// All roles for a sentence: `viewer, consumer, operator or admin`.
    public static var names: String {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }

    /// - Throws: `ValidationError` if `text` is not the raw value of a role.
    public init(text: String) throws(ValidationError) {
        guard let role = Role(rawValue: text) else {
            let known = Role.allCases.map(\.rawValue)
            throw ValidationError("'\(text)' is not a role; the roles are \(known.joined(separator: ", "))")
        }
        self = role
    }
}

extension Permission {
    /// The least role with this permission; `nil` if no role is needed.
    var role: Role? { self == .open ? nil : Role.allCases.first { $0.permissions.contains(self) } }
}
