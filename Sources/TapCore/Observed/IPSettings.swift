/// The settings of an interface by which packets from it configure the host, as the kernel names them
/// (`Documentation/networking/ip-sysctl.rst`). They outlive an ifdown and a rename.
public struct IPSettings: Hashable, Sendable {
    /// `net.ipv4.conf.NAME.accept_redirects`. A host that does not forward accepts redirects if this or the setting
    /// of `all` is on.
    public var acceptsIPv4Redirects: Int32
    /// `nil` if the interface has no IPv6: the kernel has none, or the MTU is below 1,280.
    public var ipv6: IPv6Settings?

    public init(acceptsIPv4Redirects: Int32, ipv6: IPv6Settings?) {
        self.acceptsIPv4Redirects = acceptsIPv4Redirects
        self.ipv6 = ipv6
    }

    /// The settings as words, such as `ipv6.accept_ra=0`.
    public var words: [String] {
        ["ipv4.accept_redirects=\(acceptsIPv4Redirects)"]
            + (ipv6.map { ["ipv6.addr_gen_mode=\($0.addressGeneration)"] + $0.words } ?? [])
    }
}

/// The settings of IPv6 in `/proc/sys/net/ipv6/conf/NAME`.
///
/// Without router advertisements the kernel does not use their other contents either: routes, prefixes, MTU, hop limit,
/// timers. `autoconf` closes the same way once more, for the time until a changed `accept_ra` is found and repaired.
/// Redirects (ICMPv6) change routes too. A packet can change nothing else: what ND and MLD leave behind belongs to
/// the interface itself, and the other settings that accept something are off by default.
public struct IPv6Settings: Hashable, Sendable {
    /// `addr_gen_mode`: how the link-local address is made. Set by rtnetlink (`IFLA_INET6_ADDR_GEN_MODE`).
    public var addressGeneration: Int32
    /// `accept_ra`.
    public var acceptsRouterAdvertisements: Int32
    /// `autoconf`: addresses of the prefixes in router advertisements (SLAAC, RFC 4862).
    public var autoconfiguration: Int32
    /// `accept_redirects`.
    public var acceptsRedirects: Int32
    /// `disable_ipv6`: the interface has no IPv6 address, and drops IPv6 packets.
    public var isDisabled: Int32

    /// `IN6_ADDR_GEN_MODE_NONE` of `linux/if_link.h`: no link-local address.
    static let noAddressGeneration: Int32 = 1

    public init(
        addressGeneration: Int32, acceptsRouterAdvertisements: Int32, autoconfiguration: Int32,
        acceptsRedirects: Int32, isDisabled: Int32
    ) {
        self.addressGeneration = addressGeneration
        self.acceptsRouterAdvertisements = acceptsRouterAdvertisements
        self.autoconfiguration = autoconfiguration
        self.acceptsRedirects = acceptsRedirects
        self.isDisabled = isDisabled
    }

    /// No packet configures anything.
    static func closed(isDisabled: Bool) -> IPv6Settings {
        IPv6Settings(
            addressGeneration: noAddressGeneration, acceptsRouterAdvertisements: 0, autoconfiguration: 0,
            acceptsRedirects: 0, isDisabled: isDisabled ? 1 : 0)
    }

    /// Whether they are `closed`, with IPv6 on or off.
    var isClosed: Bool { self == .closed(isDisabled: isDisabled != 0) }

    /// The settings that have no attribute in rtnetlink, and are files below `/proc/sys/net/ipv6/conf/NAME`.
    /// `disable_ipv6` is the last one: when it is turned off, the other settings are already in effect.
    public var files: [(name: String, value: Int32)] {
        [
            ("accept_ra", acceptsRouterAdvertisements), ("autoconf", autoconfiguration),
            ("accept_redirects", acceptsRedirects), ("disable_ipv6", isDisabled),
        ]
    }

    /// `files` as words, such as `ipv6.accept_ra=0`.
    public var words: [String] { files.map { "ipv6.\($0.name)=\($0.value)" } }
}
