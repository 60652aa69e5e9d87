/// Joining or leaving a bridge or VRF (`IFLA_MASTER`).
public enum ControllerChange: Hashable, Sendable {
    case join(InterfaceName, LinkIndex)
    case leave
}

/// One attribute of a link with its new value. All code that encodes, shows or performs it uses exhaustive switches.
public enum LinkAttribute: Hashable, Sendable {
    /// `IFLA_IFNAME`.
    case name(DeviceName)
    /// `IFLA_MTU`.
    case mtu(MTU)
    /// `IFLA_ADDRESS`.
    case macAddress(MACAddress)
    /// `IFLA_TXQLEN`.
    case transmitQueueLength(TransmitQueueLength)
    /// `IFLA_IFALIAS`; `nil` removes it.
    case alias(LinkAlias?)
    /// `IFLA_MASTER`.
    case controller(ControllerChange)
    /// The part of the settings that rtnetlink can set (`IFLA_INET_CONF`, `IFLA_INET6_ADDR_GEN_MODE`).
    case ip(IPSettings)
    /// Keeps the other addresses of an IPv4 network when its first one is removed (`IPV4_DEVCONF_PROMOTE_SECONDARIES`).
    case promoteSecondaries
    /// `IFF_UP`, which is part of the message's header (`ifi_flags`).
    case up(Bool)
    /// `IFLA_GSO_MAX_SIZE`, settable since Linux 4.16. Also sets the size for IPv4, unless the message contains that
    /// too (`netif_set_gso_max_size()` in `net/core/dev.c`).
    case gsoMaxBytes(GSOMaxBytes)
    /// `IFLA_GSO_IPV4_MAX_SIZE`, since Linux 6.3. An older kernel ignores it.
    case gsoIPv4MaxBytes(GSOMaxBytes)
}

extension LinkAttribute {
    /// The field that it sets, `nil` if the spec has none for it, and the value in the terms of the API.
    public var setting: (field: DeviceField?, value: FieldValue) {
        switch self {
        case .name(let name): (.name, .text(name.text))
        case .mtu(let mtu): (.mtu, .integer(mtu.value))
        case .macAddress(let address): (.macAddress, .text(address.description))
        case .transmitQueueLength(let length): (.transmitQueueLength, .integer(length.value))
        case .alias(let alias): (.alias, alias.map { .text($0.text) } ?? .nothing)
        case .controller(.join(let name, _)): (.controller, .text(name.text))
        case .controller(.leave): (.controller, .nothing)
        case .ip(let settings): (.ipv6, .words(settings.words))
        case .promoteSecondaries: (nil, .bool(true))
        case .up(let up): (.up, .bool(up))
        case .gsoMaxBytes(let size): (.gsoMaxBytes, .integer(size.value))
        case .gsoIPv4MaxBytes(let size): (.gsoIPv4MaxBytes, .integer(size.value))
        }
    }
}

/// Attributes that one `RTM_SETLINK` changes, each at most once. The kernel applies them in its own order:
/// the MTU before the controller, and `IFF_UP` last (`do_setlink()` in `net/core/rtnetlink.c`).
public typealias LinkChange = [LinkAttribute]

extension LinkChange {
    /// The change of the link's controller; `nil` if the controller stays.
    public var controller: ControllerChange? {
        for case .controller(let change) in self { return change }
        return nil
    }

    /// Whether it contains `IFLA_TXQLEN`.
    public var setsTransmitQueueLength: Bool {
        contains { attribute in
            if case .transmitQueueLength = attribute { true } else { false }
        }
    }
}
