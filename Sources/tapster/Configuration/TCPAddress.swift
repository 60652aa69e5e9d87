internal import Glibc
internal import TapCore
internal import TapService

/// A numeric address and a port to listen on, such as 127.0.0.1:8480 or [::1]:8480.
struct TCPAddress: CustomStringConvertible {
    let description: String
    private let host: HostName
    /// The address itself, 4 or 16 bytes in network order.
    private let bytes: [UInt8]

    /// - Throws: `ValidationError` when it is none.
    init(_ text: String) throws(ValidationError) {
        let refusal = ValidationError("'\(text)' is not an address such as 127.0.0.1:8480 or [::1]:8480")
        guard let colon = text.lastIndex(of: ":"), UInt16(text[text.index(after: colon)...]) != nil else {
            throw refusal
        }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let bare = String(isBracketed ? host.dropFirst().dropLast() : host)
        guard let bytes = Self.bytes(of: bare, family: isBracketed ? AF_INET6 : AF_INET) else { throw refusal }
        description = text
        self.host = try HostName(bare)
        self.bytes = bytes
    }

    /// 127.0.0.0/8 and ::1 (RFC 6890).
    var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
    }

    private var isAny: Bool { bytes.allSatisfy { $0 == 0 } }

    /// The hosts by which requests come here.
    ///
    /// - Parameter others: Those that the configuration names.
    /// - Returns: These, those, and on a loopback address its usual names.
    func hosts(and others: Set<HostName>) -> AllowedHosts {
        var names = others.union([host])
        if isLoopback || isAny {
            for name in ["localhost", "127.0.0.1", "::1"] { names.formUnion((try? [HostName(name)]) ?? []) }
        }
        return AllowedHosts(names, allowsAddresses: isAny)
    }

    /// inet_pton(3)
    private static func bytes(of text: String, family: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        // SAFETY: the call writes the address's 4 or 16 bytes.
        return unsafe inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }
}
