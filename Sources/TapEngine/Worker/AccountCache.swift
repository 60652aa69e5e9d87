internal import Synchronization
internal import TapCore

/// Looks up each account at most once per pass, since the lookup may go to a remote directory service.
final class AccountCache: Accounts {
    private struct Known {
        var users: [Principal: UInt32?] = [:]
        var groups: [Principal: UInt32?] = [:]
    }

    private let accounts: any Accounts
    private let known = Mutex(Known())

    init(_ accounts: any Accounts) {
        self.accounts = accounts
    }

    func forget() { known.withLock { $0 = Known() } }

    func userNumber(_ principal: Principal) -> UInt32? {
        if let number = known.withLock({ $0.users[principal] }) { return number }
        let number = accounts.userNumber(principal)
        known.withLock { $0.users[principal] = .some(number) }
        return number
    }

    func groupNumber(_ principal: Principal) -> UInt32? {
        if let number = known.withLock({ $0.groups[principal] }) { return number }
        let number = accounts.groupNumber(principal)
        known.withLock { $0.groups[principal] = .some(number) }
        return number
    }

    func userName(_ number: UInt32) -> String? { accounts.userName(number) }
}
