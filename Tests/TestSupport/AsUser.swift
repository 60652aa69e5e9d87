import Glibc
import Impersonation

/// Runs `body` while this thread alone has another user and other groups, as root can: whom it connects to sees those.
///
/// - Throws: `TestFailure` when the kernel refuses.
public func asUser<Value>(
    _ user: UInt32, _ group: UInt32, _ groups: [UInt32] = [], _ body: () throws -> Value
) throws -> Value {
    var old = [gid_t](repeating: 0, count: 65_536)
    let count = getgroups(Int32(old.count), &old)
    guard count >= 0, impersonation_become(user, group, groups.count, groups) == 0 else {
        throw TestFailure("cannot be user \(user): \(String(cString: strerror(errno)))")
    }
    defer {
        // Nobody may go on as somebody else.
        precondition(impersonation_become(0, 0, Int(count), old) == 0, "cannot be root again")
    }
    return try body()
}
