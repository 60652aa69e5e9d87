internal import CLinux
internal import Glibc
internal import TapCore

/// Tells the service manager how we are (sd_notify(3)): one datagram to the socket that `NOTIFY_SOCKET` names.
public struct ServiceNotifier: Sendable {
    private let path: String?

    /// - Parameter path: The value of `NOTIFY_SOCKET`; nothing means that nobody listens.
    public init(path: String?) {
        self.path = path
    }

    public func ready() { send("READY=1") }
    public func stopping() { send("STOPPING=1") }

    /// A manager that does not listen is no reason to fail.
    private func send(_ state: String) {
        guard let path, path.hasPrefix("/") || path.hasPrefix("@") else { return }
        var address = sockaddr_un()
        var bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        // A leading @ stands for the abstract namespace's NUL (unix(7)).
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: the length is checked above, against the very field.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard let number = try? systemCall({ socket(AF_UNIX, type, 0) }) else { return }
        let descriptor = FileDescriptor(owning: number)
        let message = Array(state.utf8)
        // SAFETY: address and message live until sendto(2) returns.
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = unsafe sendto(
                    descriptor.number, message, message.count, Int32(MSG_NOSIGNAL), pointer, length)
            }
        }
    }
}
