import Glibc
import Impersonation

/// Runs `body` while this thread, and no other, has another user and groups; needs root. Servers that it connects to
/// see these as its peer credentials.
///
/// - Throws: `TestFailure` if the kernel refuses.
public func asUser<Value>(
    _ user: UInt32, _ group: UInt32, _ groups: [UInt32] = [], _ body: () throws -> Value
) throws -> Value {
    var old = [gid_t](repeating: 0, count: 65_536)
    let count = getgroups(Int32(old.count), &old)
    guard count >= 0, impersonation_become(user, group, groups.count, groups) == 0 else {
        throw TestFailure("cannot be user \(user): \(String(cString: strerror(errno)))")
    }
    defer {
        // The thread must not go on with the other user.
        precondition(impersonation_become(0, 0, Int(count), old) == 0, "cannot be root again")
    }
    return try body()
}
