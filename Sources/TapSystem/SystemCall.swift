internal import CLinux

/// The one way into the kernel: calls again after EINTR, and throws what `errno` says when the call returns −1.
@discardableResult
public func systemCall<Result: SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let errno = Errno(rawValue: clinux_errno())
        if errno != .interrupted { throw errno }
    }
}
