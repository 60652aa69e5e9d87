internal import CLinux

/// Wraps all system calls: repeats `call` after EINTR.
///
/// - Parameter call: Returns −1 if it fails.
/// - Returns: The result of `call`.
/// - Throws: The error in `errno` if the result is −1.
@discardableResult
public func systemCall<Result: SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let errno = Errno(rawValue: clinux_errno())
        if errno != .interrupted { throw errno }
    }
}
