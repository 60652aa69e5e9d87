public import TapCore
internal import TapEngine

/// The host of a URL, without its port: a name, or an address.
///
/// The port says nothing of who asks: a tunnel has another one, and a page that had the name point here (DNS rebinding)
/// still comes by that name.
public struct HostName: Hashable, Sendable, CustomStringConvertible {
    private let text: String

    public var description: String { text }

    /// RFC 1035, section 2.3.4.
    private static let bytesMax = 253

    /// - Throws: `ValidationError` when it is no name, or has a port.
    public init(_ text: String) throws(ValidationError) {
        let bare = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        let isAddress = bare.contains(":")
        let isPlain = bare.utf8.allSatisfy { byte in
            let character = Character(Unicode.Scalar(byte))
            return byte < 0x80
                && (character.isLetter || character.isNumber || "-._".contains(character)
                    || (isAddress && character == ":"))
        }
        // An IPv6 address has two colons at the least; one is a port's.
        guard !bare.isEmpty, bare.utf8.count <= Self.bytesMax, isPlain,
            !isAddress || bare.count(where: { $0 == ":" }) > 1
        else { throw ValidationError("'\(text)' is no host name: write it without scheme, port and path") }
        self.text = bare.lowercased()
    }

    /// Of a `Host` header: `uri-host [ ":" port ]` (RFC 9110, section 7.2).
    init?(authority: String) {
        var host = authority[...]
        let end = host.lastIndex(of: "]") ?? host.startIndex
        if let colon = host[end...].lastIndex(of: ":") {
            guard host[colon...].dropFirst().allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
            host = host[..<colon]
        }
        // Without brackets, an IPv6 address would be read as a name and a port.
        guard host.hasPrefix("[") || !host.contains(":"), let name = try? HostName(String(host)) else { return nil }
        self = name
    }

    /// A page cannot have come by an address unless it came from there.
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

    public var description: String { text }

    /// - Throws: `ValidationError` when it is none, or has a path.
    public init(_ text: String) throws(ValidationError) {
        let rest = ["https://", "http://"].first { text.lowercased().hasPrefix($0) }.map { text.dropFirst($0.count) }
        guard let rest, !rest.isEmpty, HostName(authority: String(rest)) != nil else {
            throw ValidationError("'\(text)' is no origin such as https://console.example or http://localhost:3000")
        }
        self.text = text.lowercased()
    }
}

/// The hosts that a request over TCP may be meant for.
public struct AllowedHosts: Sendable {
    private let names: Set<HostName>
    private let allowsAddresses: Bool

    /// - Parameters:
    ///   - names: Those by which we are known.
    ///   - allowsAddresses: Every address is one of ours: where one listens on all of them.
    public init(_ names: Set<HostName>, allowsAddresses: Bool = false) {
        self.names = names
        self.allowsAddresses = allowsAddresses
    }

    func contain(_ host: HostName) -> Bool {
        names.contains(host) || (allowsAddresses && host.isAddress)
    }
}
