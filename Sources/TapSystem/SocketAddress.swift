public import Glibc

/// The address to which a socket is bound or connected.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    case unix(UnixSocketPath)
    case network(NetworkAddress)

    /// The path, or the IP address and port.
    public var description: String {
        switch self {
        case .unix(let path): path.text
        case .network(let address): address.description
        }
    }

    /// `AF_UNIX`, `AF_INET` or `AF_INET6`.
    public var family: Int32 {
        switch self {
        case .unix: AF_UNIX
        case .network(let address): address.isIPv6 ? AF_INET6 : AF_INET
        }
    }

    /// Calls `body` with the address in the form that socket calls need, which is valid only during `body`.
    func withPointer<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        switch self {
        case .unix(let path): try unsafe path.withPointer(body)
        case .network(let address): try unsafe address.withPointer(body)
        }
    }
}

/// A Unix socket's path or, if it begins with `@`, its name in the abstract namespace (unix(7)).
public struct UnixSocketPath: Hashable, Sendable {
    /// The size of `sun_path` without the terminating NUL.
    public static let bytesMax = 107

    /// With the `@` of an abstract name.
    public let text: String

    /// `nil` if the text is empty, longer than `bytesMax`, or contains a NUL.
    public init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= Self.bytesMax, !text.utf8.contains(0) else { return nil }
        self.text = text
    }

    fileprivate func withPointer<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(text.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        // SAFETY: the field is larger than `bytesMax`.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        // The length is the end of an abstract name; a NUL behind it would be part of the name.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        return try unsafe withSocketPointer(to: &address, length, body)
    }
}

/// A numeric IP address with a port, such as `127.0.0.1:8480` or `[::1]:8480`.
public struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    /// The IP address: 4 or 16 bytes, in network order.
    public let bytes: [UInt8]
    /// In host order.
    public let port: UInt16
    /// The interface index of a link-local IPv6 address (`sin6_scope_id`); otherwise 0.
    private let scope: UInt32

    /// Otherwise IPv4.
    public var isIPv6: Bool { bytes.count == 16 }

    /// Whether it is in 127.0.0.0/8 or is ::1 (RFC 6890).
    public var isLoopback: Bool { isIPv6 ? bytes == [UInt8](repeating: 0, count: 15) + [1] : bytes[0] == 127 }

    /// Whether it is 0.0.0.0 or ::, which stand for all addresses of the host.
    public var isAny: Bool { bytes.allSatisfy { $0 == 0 } }

    /// `nil` unless the text is an IPv4 address and a port, or an IPv6 address in brackets and a port.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        // `UInt16` would accept a sign, as in `+1`.
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else { return nil }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let bare = String(isBracketed ? host.dropFirst().dropLast() : host)
        var bytes = [UInt8](repeating: 0, count: isBracketed ? 16 : 4)
        // SAFETY: the call writes 16 or 4 bytes (inet_pton(3)).
        guard unsafe inet_pton(isBracketed ? AF_INET6 : AF_INET, bare, &bytes) == 1 else { return nil }
        self.bytes = bytes
        self.port = port
        scope = 0
    }

    /// `nil` unless it is an IP address.
    ///
    /// - Parameter address: Points to a complete address of its family.
    public init?(_ address: UnsafePointer<sockaddr>) {
        switch Int32(unsafe address.pointee.sa_family) {
        case AF_INET:
            // SAFETY: the family determines the type, and the caller guarantees a complete address.
            let found = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
            bytes = unsafe withUnsafeBytes(of: found.sin_addr) { unsafe Array($0) }
            port = UInt16(bigEndian: found.sin_port)
            scope = 0
        case AF_INET6:
            // SAFETY: as above.
            let found = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
            bytes = unsafe withUnsafeBytes(of: found.sin6_addr) { unsafe Array($0) }
            port = UInt16(bigEndian: found.sin6_port)
            scope = found.sin6_scope_id
        default: return nil
        }
    }

    /// The address without the port, such as `::1`.
    public var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        // SAFETY: the call reads the address and writes at most `text.count` bytes, the NUL included (inet_ntop(3)).
        unsafe inet_ntop(isIPv6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(text.count))
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return scope == 0 ? host : "\(host)%\(scope)"
    }

    /// As `init(_:)` accepts it, such as `[::1]:8480`.
    public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

    fileprivate func withPointer<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = scope
            // SAFETY: the field has 16 bytes.
            unsafe withUnsafeMutableBytes(of: &address.sin6_addr) { unsafe $0.copyBytes(from: bytes) }
            return try unsafe withSocketPointer(to: &address, socklen_t(MemoryLayout<sockaddr_in6>.size), body)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        // SAFETY: the field has 4 bytes.
        unsafe withUnsafeMutableBytes(of: &address.sin_addr) { unsafe $0.copyBytes(from: bytes) }
        return try unsafe withSocketPointer(to: &address, socklen_t(MemoryLayout<sockaddr_in>.size), body)
    }
}

/// Calls `body` with a pointer to an address of any family, as socket calls need it (socket(7)).
private func withSocketPointer<Address, Result>(
    to address: inout Address, _ length: socklen_t,
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Result
) throws(Errno) -> Result {
    // SAFETY: the address lives until `body` returns, and every kind of address begins with the fields of a sockaddr.
    try unsafe withUnsafePointer(to: &address) { pointer throws(Errno) in
        try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer throws(Errno) in
            try unsafe body(pointer, length)
        }
    }
}
