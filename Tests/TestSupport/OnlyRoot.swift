import TapCore

/// Accounts of which only root has a name; numbers are themselves.
public struct OnlyRoot: Accounts {
    public init() {}

    public func userNumber(_ principal: Principal) -> UInt32? {
        switch principal {
        case .name(let name): name == "root" ? 0 : nil
        case .number(let number): number
        }
    }
    public func groupNumber(_ principal: Principal) -> UInt32? { userNumber(principal) }
}
