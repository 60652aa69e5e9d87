/// Joining or leaving a bridge or VRF (`IFLA_MASTER`).
public enum ControllerChange: Hashable, Sendable {
    case join(InterfaceName, LinkIndex)
    case leave
}

/// One attribute of a link, with its new value. What encodes, shows or performs it is an exhaustive switch.
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
    /// The other addresses of an IPv4 network stay when its first one goes (`IPV4_DEVCONF_PROMOTE_SECONDARIES`).
    case promoteSecondaries
    /// `IFF_UP`, which belongs to the message's header (`ifi_flags`).
    case up(Bool)
}

/// Attributes that one `RTM_SETLINK` changes together, each at most once. The kernel applies them in its own order:
/// the MTU before the controller, and `IFF_UP` last (`do_setlink()` in `net/core/rtnetlink.c`).
public typealias LinkChange = [LinkAttribute]

extension LinkChange {
    /// What becomes of the link's controller; `nil` if the change leaves it.
    public var controller: ControllerChange? {
        for case .controller(let change) in self { return change }
        return nil
    }

    public var setsTransmitQueueLength: Bool {
        contains { attribute in
            if case .transmitQueueLength = attribute { true } else { false }
        }
    }
}
