internal import CLinux
internal import TapCore

/// Decodes and encodes rtnetlink's link messages (rtnetlink(7)). Pure: it uses no socket.
enum LinkMessage {
    /// Decodes an `RTM_NEWLINK`; `nil` for another family's view of a link, such as a bridge's.
    static func decode(_ payload: RawSpan) throws(MalformedNetlink) -> ObservedLink? {
        guard try isAboutLink(payload) else { return nil }
        let flags = try payload.load(UInt32.self, at: 8)
        var link = ObservedLink(index: try index(payload), name: "")
        link.up = flags & 1 != 0  // IFF_UP
        link.attributes.reserveCapacity(attributesExpected)
        try walkAttributes(payload, from: interfaceBytes) { (type, value) throws(MalformedNetlink) in
            switch type {
            case Int(IFLA_IFNAME): link.name = value.text()
            case Int(IFLA_MTU): link.mtu = Int(try value.load(UInt32.self))
            case Int(IFLA_ADDRESS): link.macAddress = MACAddress(bytes: value.byteArray())
            case Int(IFLA_TXQLEN): link.transmitQueueLength = Int(try value.load(UInt32.self))
            case Int(IFLA_QDISC): link.queueDiscipline = value.text()
            case Int(IFLA_OPERSTATE):
                link.operationalState = OperationalState(rawValue: try value.load(UInt8.self)) ?? .unknown
            case Int(IFLA_MASTER): link.controller = LinkIndex(rawValue: try value.load(Int32.self))
            case Int(IFLA_IFALIAS): link.alias = value.text()
            case Int(IFLA_GROUP): link.group = try value.load(UInt32.self)
            case Int(IFLA_CARRIER): link.carrier = try value.load(UInt8.self) != 0
            case Int(IFLA_GSO_MAX_SIZE):
                link.attributes.append(.gsoMaxBytes(GSOMaxBytes(unchecked: Int(try value.load(UInt32.self)))))
            case gsoIPv4MaxSize:
                link.attributes.append(.gsoIPv4MaxBytes(GSOMaxBytes(unchecked: Int(try value.load(UInt32.self)))))
            case Int(IFLA_AF_SPEC): link.ip = try IPSettings(value)
            case Int(IFLA_LINKINFO): try decodeInformation(value, into: &link)
            case Int(IFLA_PROP_LIST):
                try walkAttributes(value) { (type, value) throws(MalformedNetlink) in
                    if type == Int(IFLA_ALT_IFNAME) { link.altNames.append(value.text()) }
                }
            default: break
            }
        }
        return link
    }

    /// Whether a message is about the link itself, not about another family's view of it: when a port leaves a bridge,
    /// there is an `RTM_DELLINK` of `AF_BRIDGE`.
    static func isAboutLink(_ payload: RawSpan) throws(MalformedNetlink) -> Bool {
        try payload.load(UInt8.self) == UInt8(AF_UNSPEC)
    }

    /// Where the link of an `RTM_DELLINK` was moved to; `nil` if it was deleted.
    static func move(_ payload: RawSpan) throws(MalformedNetlink) -> LinkMove? {
        var namespace: Int32?
        // Kernels before 4.16 do not report the number, which stays the same unless it is taken.
        var index = try index(payload)
        try walkAttributes(payload, from: interfaceBytes) { (type, value) throws(MalformedNetlink) in
            switch type {
            case Int(IFLA_NEW_NETNSID): namespace = try value.load(Int32.self)
            case Int(IFLA_NEW_IFINDEX): index = LinkIndex(rawValue: try value.load(Int32.self))
            default: break
            }
        }
        return namespace.map { LinkMove(namespace: $0, index: index) }
    }

    /// Appends the body of an `RTM_SETLINK`.
    static func append(_ change: LinkChange, to index: LinkIndex, _ writer: inout NetlinkWriter) {
        let isUp = change.contains(.up(true))
        let changesUp = isUp || change.contains(.up(false))
        writer.appendInterface(index: index.rawValue, flags: isUp ? 1 : 0, change: changesUp ? 1 : 0)  // IFF_UP
        for attribute in change { append(attribute, &writer) }
    }

    private static func append(_ attribute: LinkAttribute, _ writer: inout NetlinkWriter) {
        switch attribute {
        case .name(let name): writer.attribute(Int(IFLA_IFNAME), text: name.text)
        case .mtu(let mtu): writer.attribute(Int(IFLA_MTU), UInt32(mtu.value))
        case .macAddress(let address): writer.attribute(Int(IFLA_ADDRESS), bytes: address.bytes)
        case .transmitQueueLength(let length): writer.attribute(Int(IFLA_TXQLEN), UInt32(length.value))
        case .alias(let alias): writer.attribute(Int(IFLA_IFALIAS), bytes: Array((alias?.text ?? "").utf8))
        case .controller(.join(_, let controller)):
            writer.attribute(Int(IFLA_MASTER), UInt32(bitPattern: controller.rawValue))
        case .controller(.leave): writer.attribute(Int(IFLA_MASTER), UInt32(0))
        case .ip(let settings): settings.append(to: &writer)
        case .promoteSecondaries: appendPromotion(&writer)
        // Encoded in the header.
        case .up: break
        case .gsoMaxBytes(let size): writer.attribute(Int(IFLA_GSO_MAX_SIZE), UInt32(size.value))
        case .gsoIPv4MaxBytes(let size): writer.attribute(gsoIPv4MaxSize, UInt32(size.value))
        }
    }

    private static func appendPromotion(_ writer: inout NetlinkWriter) {
        let nested = Int(NLA_F_NESTED)
        writer.attribute(Int(IFLA_AF_SPEC) | nested) { families in
            families.attribute(Int(AF_INET) | nested) { family in
                family.attribute(Int(IFLA_INET_CONF) | nested) { $0.attribute(promoteSecondaries, UInt32(1)) }
            }
        }
    }

    /// `IPV4_DEVCONF_PROMOTE_SECONDARIES` of `linux/ip.h`.
    private static let promoteSecondaries = 20

    /// The interface that a link or qdisc message is about: `struct ifinfomsg` and `struct tcmsg` begin alike.
    static func index(_ payload: RawSpan) throws(MalformedNetlink) -> LinkIndex {
        guard payload.byteCount >= interfaceBytes else {
            throw MalformedNetlink(reason: "link message of \(payload.byteCount) bytes")
        }
        return LinkIndex(rawValue: try payload.load(Int32.self, at: 4))
    }

    /// The number of attached queues in an `RTM_NEWLINK`; `nil` unless it is about a multiqueue tap or tun. Other
    /// attributes are skipped.
    static func attachedQueues(_ payload: RawSpan) throws(MalformedNetlink) -> Int? {
        var link = ObservedLink(index: try index(payload), name: "")
        try walkAttributes(payload, from: interfaceBytes) { (type, value) throws(MalformedNetlink) in
            if type == Int(IFLA_LINKINFO) { try decodeInformation(value, into: &link) }
        }
        return link.tun?.attachedQueues
    }

    /// `IFLA_GSO_IPV4_MAX_SIZE` of `linux/if_link.h`, which older headers lack.
    private static let gsoIPv4MaxSize = 63

    /// Capacity to reserve for `attributes`, so that they take one allocation.
    private static let attributesExpected = 2

    /// `sizeof(struct ifinfomsg)`.
    private static let interfaceBytes = 16

    private static func decodeInformation(_ span: RawSpan, into link: inout ObservedLink) throws(MalformedNetlink) {
        var isPort = false
        try walkAttributes(span) { (type, value) throws(MalformedNetlink) in
            // The kernel writes the kinds before the data.
            switch type {
            case Int(IFLA_INFO_KIND): link.kind = value.text()
            case Int(IFLA_INFO_DATA) where link.kind == "tun": link.tun = try decodeTun(value)
            case Int(IFLA_INFO_SLAVE_KIND): isPort = value.text() == "bridge"
            case Int(IFLA_INFO_SLAVE_DATA) where isPort: link.bridgePort = try BridgePortMessage.decode(value)
            default: break
            }
        }
    }

    private static func decodeTun(_ span: RawSpan) throws(MalformedNetlink) -> ObservedTun {
        var tun = ObservedTun(kind: .tap)
        try walkAttributes(span) { (type, value) throws(MalformedNetlink) in
            switch type {
            case Int(IFLA_TUN_OWNER): tun.owner = try value.load(UInt32.self)
            case Int(IFLA_TUN_GROUP): tun.group = try value.load(UInt32.self)
            case Int(IFLA_TUN_TYPE): tun.kind = try value.load(UInt8.self) == UInt8(IFF_TUN) ? .tun : .tap
            case Int(IFLA_TUN_PI): tun.packetInfo = try value.load(UInt8.self) != 0
            case Int(IFLA_TUN_VNET_HDR): tun.vnetHeader = try value.load(UInt8.self) != 0
            case Int(IFLA_TUN_PERSIST): tun.persistent = try value.load(UInt8.self) != 0
            case Int(IFLA_TUN_MULTI_QUEUE): tun.multiQueue = try value.load(UInt8.self) != 0
            case Int(IFLA_TUN_NUM_QUEUES): tun.attachedQueues = Int(try value.load(UInt32.self))
            case Int(IFLA_TUN_NUM_DISABLED_QUEUES): tun.detachedQueues = Int(try value.load(UInt32.self))
            default: break
            }
        }
        return tun
    }
}
