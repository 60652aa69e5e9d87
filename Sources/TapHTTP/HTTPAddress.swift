internal import Foundation
internal import Glibc

/// A numeric IP address and a port, such as `127.0.0.1:8480` or `[::1]:8480`.
public struct HTTPAddress: Sendable, CustomStringConvertible {
    public let host: String
    public let port: UInt16

    /// - Throws: `HTTPServerError` when the text is none.
    public init(_ text: String) throws(HTTPServerError) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw HTTPServerError(description: "'\(text)' is not an address such as 127.0.0.1:9480 or [::1]:9480")
        }
        let host = String(text[..<colon].filter { $0 != "[" && $0 != "]" })
        guard let address = unsafe Self.resolve(host, port: port, { unsafe HTTPAddress($0.ai_addr) })
        else { throw HTTPServerError(description: "'\(text)' is not a numeric address and port") }
        self = address
    }

    /// Of a socket; nothing when it is not of IP.
    init?(_ address: UnsafePointer<sockaddr>) {
        let length: Int
        switch Int32(unsafe address.pointee.sa_family) {
        case AF_INET: length = MemoryLayout<sockaddr_in>.size
        case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
        default: return nil
        }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        // SAFETY: the caller keeps the whole address alive; the call ends each text with a NUL.
        guard
            unsafe getnameinfo(
                address, socklen_t(length), &host, socklen_t(host.count), &port, socklen_t(port.count),
                NI_NUMERICHOST | NI_NUMERICSERV) == 0
        else { return nil }
        self.host = Self.text(host)
        self.port = UInt16(Self.text(port)) ?? 0
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Calls `body` with what socket(2) and bind(2) want.
    func withInfo<Value>(_ body: (addrinfo) -> Value?) -> Value? { unsafe Self.resolve(host, port: port, body) }

    private static func resolve<Value>(_ host: String, port: UInt16, _ body: (addrinfo) -> Value?) -> Value? {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        // SAFETY: the list is freed below, and used only before.
        guard unsafe getaddrinfo(host, String(port), &hints, &found) == 0, let info = unsafe found else { return nil }
        defer { unsafe freeaddrinfo(info) }
        return unsafe body(info.pointee)
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
