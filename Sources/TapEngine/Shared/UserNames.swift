internal import Synchronization
internal import TapCore
internal import TapSystem

/// Names of users, remembered for a while, since a look-up may go to a remote directory service.
package final class UserNames: Sendable {
    /// How long a name is remembered; changes are seen after that.
    private static let secondsMax = 60
    /// The most names remembered.
    private static let namesMax = 1_024

    private struct Known {
        var names: [UInt32: String?] = [:]
        var expiry = ContinuousClock.now
    }

    private let accounts: any Accounts
    private let known = Mutex(Known())

    init(_ accounts: any Accounts) {
        self.accounts = accounts
    }

    /// The user's name; `nil` if it has none. May wait for the look-up.
    package func name(of user: UInt32) -> String? {
        let remembered = known.withLock { known -> String?? in
            if known.expiry <= .now || known.names.count >= Self.namesMax {
                known = Known(expiry: .now + .seconds(Self.secondsMax))
            }
            return known.names[user]
        }
        if let remembered { return remembered }
        let name = accounts.userName(user)?.printable
        known.withLock { $0.names[user] = .some(name) }
        return name
    }
}
