internal import CLinux
internal import TapCore

/// Between rtnetlink's link messages and our values. Pure: bytes in, values out, and back.
enum LinkMessage {
    /// Reads an `RTM_NEWLINK`; nothing for another family's view of a link, such as a bridge's.
    static func decode(_ payload: RawSpan) throws(MalformedNetlink) -> ObservedLink? {
        guard try payload.load(UInt8.self) == UInt8(AF_UNSPEC) else { return nil }
        let flags = try payload.load(UInt32.self, at: 8)
        var link = ObservedLink(index: try index(payload), name: "")
        link.up = flags & 1 != 0  // IFF_UP
        try walkAttributes(payload, from: interfaceBytes) { (type, value) throws(MalformedNetlink) in
            switch type {
            case Int(IFLA_IFNAME): link.name = value.text()
            case Int(IFLA_MTU): link.mtu = Int(try value.load(UInt32.self))
            case Int(IFLA_ADDRESS): link.macAddress = MACAddress(bytes: value.byteArray())
            case Int(IFLA_TXQLEN): link.transmitQueueLength = Int(try value.load(UInt32.self))
            case Int(IFLA_QDISC): link.queueDiscipline = value.text()
            case Int(IFLA_OPERSTATE):
                link.operationalState = OperationalState(rawValue: try value.load(UInt8.self)) ?? .unknown
            case Int(IFLA_CARRIER): link.carrier = try value.load(UInt8.self) != 0
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

    /// The interface that a link or qdisc message is about: `struct ifinfomsg` and `struct tcmsg` begin alike.
    static func index(_ payload: RawSpan) throws(MalformedNetlink) -> LinkIndex {
        guard payload.byteCount >= interfaceBytes else {
            throw MalformedNetlink(reason: "link message of \(payload.byteCount) bytes")
        }
        return LinkIndex(rawValue: try payload.load(Int32.self, at: 4))
    }

    /// `sizeof(struct ifinfomsg)`.
    private static let interfaceBytes = 16

    private static func decodeInformation(_ span: RawSpan, into link: inout ObservedLink) throws(MalformedNetlink) {
        try walkAttributes(span) { (type, value) throws(MalformedNetlink) in
            // The kernel writes the kind before the data.
            switch type {
            case Int(IFLA_INFO_KIND): link.kind = value.text()
            case Int(IFLA_INFO_DATA) where link.kind == "tun": link.tun = try decodeTun(value)
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

/// What we ask of rtnetlink.
enum LinkRequest {
    /// `RTM_GETLINK` of every interface.
    case dump
    /// `RTM_GETLINK` of one.
    case get(LinkIndex)
    /// `RTM_SETLINK`.
    case change(LinkIndex, LinkChange)
    /// `RTM_DELLINK`.
    case delete(LinkIndex)
    /// `RTM_NEWQDISC` at the root, or `RTM_DELQDISC` of it, which lets the kernel put its default there.
    case queueDiscipline(LinkIndex, QueueDiscipline)

    func encode(into writer: inout NetlinkWriter, sequence: UInt32) {
        switch self {
        case .dump:
            writer.begin(type: UInt16(RTM_GETLINK), flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP), sequence: sequence)
            writer.appendInterface(index: 0)
            writer.attribute(Int(IFLA_EXT_MASK), Self.withoutStatistics)
        case .get(let index):
            writer.begin(type: UInt16(RTM_GETLINK), flags: UInt16(NLM_F_REQUEST), sequence: sequence)
            writer.appendInterface(index: index.rawValue)
            writer.attribute(Int(IFLA_EXT_MASK), Self.withoutStatistics)
        case .change(let index, let change):
            begin(&writer, type: RTM_SETLINK, sequence: sequence)
            writer.appendInterface(
                index: index.rawValue, flags: change.up == true ? 1 : 0, change: change.up == nil ? 0 : 1)
            if let name = change.name { writer.attribute(Int(IFLA_IFNAME), text: name.text) }
            if let mtu = change.mtu { writer.attribute(Int(IFLA_MTU), UInt32(mtu.value)) }
            if let address = change.macAddress { writer.attribute(Int(IFLA_ADDRESS), bytes: address.bytes) }
            if let length = change.transmitQueueLength {
                writer.attribute(Int(IFLA_TXQLEN), UInt32(length.value))
            }
        case .delete(let index):
            begin(&writer, type: RTM_DELLINK, sequence: sequence)
            writer.appendInterface(index: index.rawValue)
        case .queueDiscipline(let index, .noqueue):
            let replace = NLM_F_CREATE | NLM_F_REPLACE
            begin(&writer, type: RTM_NEWQDISC, flags: replace, sequence: sequence)
            appendTraffic(&writer, index)
            writer.attribute(Int(TCA_KIND), text: "noqueue")
        case .queueDiscipline(let index, .kernelDefault):
            begin(&writer, type: RTM_DELQDISC, sequence: sequence)
            appendTraffic(&writer, index)
        }
        writer.end()
    }

    /// `RTEXT_FILTER_SKIP_STATS`: the counters are more than half of a link message, and nobody reads them here.
    private static let withoutStatistics: UInt32 = 1 << 3

    private func begin(_ writer: inout NetlinkWriter, type: some BinaryInteger, flags: Int32 = 0, sequence: UInt32) {
        writer.begin(type: UInt16(type), flags: UInt16(NLM_F_REQUEST | NLM_F_ACK | flags), sequence: sequence)
    }

    /// `struct tcmsg` for the root qdisc.
    private func appendTraffic(_ writer: inout NetlinkWriter, _ index: LinkIndex) {
        writer.append(UInt32(AF_UNSPEC))
        writer.append(index.rawValue)
        writer.append(UInt32(0))
        writer.append(UInt32(0xFFFF_FFFF))  // TC_H_ROOT
        writer.append(UInt32(0))
    }
}
