public import TapCore
internal import TapEngine

/// The host of a URL, without its port: a name, or an address.
///
/// The port is not compared: a tunnel has another port, and DNS rebinding is detected by the name alone.
public struct HostName: Hashable, Sendable, CustomStringConvertible {
    private let text: String

    /// In lower case, without brackets.
    public var description: String { text }

    /// RFC 1035, section 2.3.4.
    private static let bytesMax = 253

    /// - Throws: `ValidationError` if `text` is not a host name or an address, or has a port.
    public init(_ text: String) throws(ValidationError) {
        let bare = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        let isAddress = bare.contains(":")
        let isPlain = bare.utf8.allSatisfy { byte in
            let character = Character(Unicode.Scalar(byte))
            return byte < 0x80
                && (character.isLetter || character.isNumber || "-._".contains(character)
                    || (isAddress && character == ":"))
        }
        // An IPv6 address has at least two colons; a single one precedes a port.
        guard !bare.isEmpty, bare.utf8.count <= Self.bytesMax, isPlain,
            !isAddress || bare.count(where: { $0 == ":" }) > 1
        else { throw ValidationError("'\(text)' is not a host name; write it without scheme, port and path") }
        self.text = bare.lowercased()
    }

    /// Parses a `Host` header field: `uri-host [ ":" port ]` (RFC 9110, section 7.2).
    init?(authority: String) {
        var host = authority[...]
        let end = host.lastIndex(of: "]") ?? host.startIndex
        if let colon = host[end...].lastIndex(of: ":") {
            guard host[colon...].dropFirst().allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
            host = host[..<colon]
        }
        // An IPv6 address without brackets is ambiguous: its last group could be a port.
        guard host.hasPrefix("[") || !host.contains(":"), let name = try? HostName(String(host)) else { return nil }
        self = name
    }

    /// Whether it is an IPv4 or IPv6 address. DNS rebinding needs a name, so that addresses are safe to accept.
    var isAddress: Bool {
        text.contains(":")
            || (text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }.count(where: {
                $0 != nil
            })
                == 4 && text.count(where: { $0 == "." }) == 3)
    }
}

/// The origin of a web page (RFC 6454, section 6.1).
public struct WebOrigin: Hashable, Sendable, CustomStringConvertible {
    private let text: String

    /// In lower case.
    public var description: String { text }

    /// - Throws: `ValidationError` if `text` is not an origin, or has a path.
    public init(_ text: String) throws(ValidationError) {
        let rest = ["https://", "http://"].first { text.lowercased().hasPrefix($0) }.map { text.dropFirst($0.count) }
        guard let rest, !rest.isEmpty, HostName(authority: String(rest)) != nil else {
            throw ValidationError("'\(text)' is not an origin such as https://console.example or http://localhost:3000")
        }
        self.text = text.lowercased()
    }
}

/// The values of `Host` that are accepted over TCP.
public struct AllowedHosts: Sendable {
    private let names: Set<HostName>
    private let allowsAddresses: Bool

    /// - Parameters:
    ///   - names: The names of this server.
    ///   - allowsAddresses: Whether every address is accepted, for a server that listens on all addresses.
    public init(_ names: Set<HostName>, allowsAddresses: Bool = false) {
        self.names = names
        self.allowsAddresses = allowsAddresses
    }

    func contain(_ host: HostName) -> Bool {
        names.contains(host) || (allowsAddresses && host.isAddress)
    }
}
