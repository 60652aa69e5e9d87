public import TapCore

/// What a route asks of whoever calls it.
public enum Permission: UInt8, CaseIterable, Sendable {
    /// No more than to be let in: by the Unix socket's mode, or on TCP by a token or a certificate.
    case open
    /// To see what is stated, and what is the case.
    case view
    /// To take queues of any device. Who owns a device may take its queues without.
    case lease
    /// To change what is stated.
    case operate
    /// To make copies of all of it.
    case administer
}

/// What somebody may.
struct Permissions: OptionSet, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ permissions: Permission...) {
        rawValue = permissions.reduce(0) { $0 | 1 << $1.rawValue }
    }

    /// Of who is let in at all.
    static let guest = Permissions(.open)

    func contains(_ permission: Permission) -> Bool { rawValue & 1 << permission.rawValue != 0 }
}

/// A name for permissions that go together. Who has several has what each of them gives.
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
    /// Every role, as a sentence names them.
    public static var names: String {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }

    /// - Throws: `ValidationError` unless it is a role's raw value.
    public init(text: String) throws(ValidationError) {
        guard let role = Role(rawValue: text) else {
            let known = Role.allCases.map(\.rawValue)
            throw ValidationError("'\(text)' is no role; there are \(known.joined(separator: ", "))")
        }
        self = role
    }
}

extension Permission {
    /// The least role that has it, for who lacks it; nothing where none is needed.
    var role: Role? { self == .open ? nil : Role.allCases.first { $0.permissions.contains(self) } }
}
