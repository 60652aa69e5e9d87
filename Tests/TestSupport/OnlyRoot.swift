import TapCore

/// Accounts in which only root has a name; numbers stand for themselves.
public struct OnlyRoot: Accounts {
    public init() {}

    /// 0 for `root`, the number itself for a number, otherwise `nil`.
    public func userNumber(_ principal: Principal) -> UInt32? {
        switch principal {
        case .name(let name): name == "root" ? 0 : nil
        case .number(let number): number
        }
    }
    /// Same as for users.
    public func groupNumber(_ principal: Principal) -> UInt32? { userNumber(principal) }
    /// `root` for 0, otherwise `nil`.
    public func userName(_ number: UInt32) -> String? { number == 0 ? "root" : nil }
}
