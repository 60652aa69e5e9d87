internal import CLinux
internal import TapCore

/// Decodes and encodes `IFLA_AF_SPEC`, which has an attribute for each address family:
///
///     AF_INET:  IFLA_INET_CONF, in an answer an array of 32-bit numbers, in a request an attribute for each number
///     AF_INET6: IFLA_INET6_CONF, an array of 32-bit numbers (only in answers), and IFLA_INET6_ADDR_GEN_MODE
extension IPSettings {
    /// `nil` without `AF_INET`.
    init?(_ families: RawSpan) throws(MalformedNetlink) {
        var ipv4: Int32?
        var ipv6: IPv6Settings?
        try walkAttributes(families) { (family, value) throws(MalformedNetlink) in
            switch family {
            case Int(AF_INET):
                try walkAttributes(value) { (type, value) throws(MalformedNetlink) in
                    guard type == Int(IFLA_INET_CONF) else { return }
                    // Numbers of IPv4 begin with 1 (`linux/ip.h`).
                    ipv4 = try value.load(Int32.self, at: 4 * (Self.acceptIPv4Redirects - 1))
                }
            case Int(AF_INET6): ipv6 = try IPv6Settings(value)
            default: break
            }
        }
        guard let ipv4 else { return nil }
        self.init(acceptsIPv4Redirects: ipv4, ipv6: ipv6)
    }

    func append(to writer: inout NetlinkWriter) {
        let nested = Int(NLA_F_NESTED)
        let redirects = UInt32(bitPattern: acceptsIPv4Redirects)
        writer.attribute(Int(IFLA_AF_SPEC) | nested) { families in
            families.attribute(Int(AF_INET) | nested) { family in
                family.attribute(Int(IFLA_INET_CONF) | nested) {
                    $0.attribute(Self.acceptIPv4Redirects, redirects)
                }
            }
            guard let ipv6 else { return }
            families.attribute(Int(AF_INET6) | nested) { family in
                family.attribute(
                    Int(IFLA_INET6_ADDR_GEN_MODE), bytes: [UInt8(truncatingIfNeeded: ipv6.addressGeneration)])
            }
        }
    }

    /// `IPV4_DEVCONF_ACCEPT_REDIRECTS` of `linux/ip.h`.
    private static let acceptIPv4Redirects = 4
}

extension IPv6Settings {
    /// `nil` if one of the two attributes is missing.
    fileprivate init?(_ family: RawSpan) throws(MalformedNetlink) {
        var mode: UInt8?
        var settings: IPv6Settings?
        try walkAttributes(family) { (type, value) throws(MalformedNetlink) in
            switch type {
            case Int(IFLA_INET6_CONF):
                func number(_ place: Int) throws(MalformedNetlink) -> Int32 {
                    try value.load(Int32.self, at: 4 * place)
                }
                settings = IPv6Settings(
                    addressGeneration: 0, acceptsRouterAdvertisements: try number(Self.acceptRA),
                    autoconfiguration: try number(Self.autoconf), acceptsRedirects: try number(Self.acceptRedirects),
                    isDisabled: try number(Self.disableIPv6))
            case Int(IFLA_INET6_ADDR_GEN_MODE): mode = try value.load(UInt8.self)
            default: break
            }
        }
        guard let mode, var settings else { return nil }
        settings.addressGeneration = Int32(mode)
        self = settings
    }

    /// `DEVCONF_ACCEPT_RA` of `linux/ipv6.h`, which glibc's headers contradict.
    private static let acceptRA = 3
    /// `DEVCONF_ACCEPT_REDIRECTS`.
    private static let acceptRedirects = 4
    /// `DEVCONF_AUTOCONF`.
    private static let autoconf = 5
    /// `DEVCONF_DISABLE_IPV6`.
    private static let disableIPv6 = 26
}
