internal import CLinux
internal import TapCore

/// A request to rtnetlink (rtnetlink(7)).
enum LinkRequest {
    /// `RTM_GETLINK` of every interface.
    case dump
    /// `RTM_GETLINK` of one; `in`: of another namespace with this number (`IFLA_TARGET_NETNSID`).
    case get(LinkIndex, in: Int32? = nil)
    /// `RTM_GETSTATS` of every interface, with `IFLA_STATS_LINK_64` only.
    case dumpStatistics
    /// `RTM_SETLINK`.
    case change(LinkIndex, LinkChange)
    /// `RTM_SETLINK` of the family `AF_BRIDGE`.
    case setPort(LinkIndex, [BridgePortSetting])
    /// `RTM_SETLINK` with `IFLA_CARRIER`.
    case setCarrier(LinkIndex, Bool)
    /// `RTM_NEWLINKPROP`.
    case addAltNames(LinkIndex, [String])
    /// `RTM_DELLINKPROP`.
    case removeAltNames(LinkIndex, [String])
    /// `RTM_GETADDR` of every interface.
    case dumpAddresses
    /// `RTM_NEWADDR`.
    case addAddress(LinkIndex, InterfaceAddress, detectsDuplicates: Bool)
    /// `RTM_DELADDR`.
    case removeAddress(LinkIndex, InterfaceAddress)
    /// `RTM_GETROUTE` of the IPv6 routes through an interface.
    case dumpRoutes(LinkIndex)
    /// `RTM_DELROUTE` of a route with the body of its `RTM_NEWROUTE`.
    case removeRoute([UInt8])
    /// `RTM_SETLINK` with `IFLA_GROUP`.
    case setGroup(LinkIndex, UInt32)
    /// `RTM_DELLINK` of all interfaces in a group.
    case deleteGroup(UInt32)
    /// `RTM_DELLINK`; `in` as for `get`.
    case delete(LinkIndex, in: Int32? = nil)
    /// `RTM_NEWQDISC` at the root, or `RTM_DELQDISC` of the root, after which the kernel uses its default.
    case queueDiscipline(LinkIndex, QueueDiscipline)

    func encode(into writer: inout NetlinkWriter, sequence: UInt32) {
        switch self {
        case .dump:
            writer.begin(type: UInt16(RTM_GETLINK), flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP), sequence: sequence)
            writer.appendInterface(index: 0)
            writer.attribute(Int(IFLA_EXT_MASK), Self.withoutStatistics)
        case .get(let index, let namespace):
            writer.begin(type: UInt16(RTM_GETLINK), flags: UInt16(NLM_F_REQUEST), sequence: sequence)
            append(&writer, index, in: namespace)
            writer.attribute(Int(IFLA_EXT_MASK), Self.withoutStatistics)
        case .dumpStatistics:
            writer.begin(type: UInt16(RTM_GETSTATS), flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP), sequence: sequence)
            writer.appendStatistics(index: 0, filter: StatisticsMessage.filter)
        case .change(let index, let change):
            begin(&writer, type: RTM_SETLINK, sequence: sequence)
            LinkMessage.append(change, to: index, &writer)
        case .setPort(let index, let settings):
            begin(&writer, type: RTM_SETLINK, sequence: sequence)
            writer.appendInterface(family: AF_BRIDGE, index: index.rawValue)
            BridgePortMessage.append(settings, &writer)
        case .setCarrier(let index, let on):
            beginLink(&writer, type: RTM_SETLINK, index, sequence: sequence)
            writer.attribute(Int(IFLA_CARRIER), bytes: [on ? 1 : 0])
        case .addAltNames(let index, let names):
            begin(&writer, type: RTM_NEWLINKPROP, flags: NLM_F_CREATE | NLM_F_EXCL, sequence: sequence)
            appendAltNames(&writer, index, names)
        case .removeAltNames(let index, let names):
            begin(&writer, type: RTM_DELLINKPROP, sequence: sequence)
            appendAltNames(&writer, index, names)
        case .dumpAddresses:
            writer.begin(type: UInt16(RTM_GETADDR), flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP), sequence: sequence)
            writer.appendAddress(family: AF_UNSPEC, prefixLength: 0, index: 0)
        case .addAddress(let index, let address, let detectsDuplicates):
            begin(&writer, type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_REPLACE, sequence: sequence)
            let flags = address.isIPv6 && !detectsDuplicates ? UInt8(IFA_F_NODAD) : 0
            appendAddress(&writer, index, address, flags: flags)
            writer.attribute(Int(IFA_PROTO), bytes: [AddressMessage.origin])
        case .removeAddress(let index, let address):
            begin(&writer, type: RTM_DELADDR, sequence: sequence)
            appendAddress(&writer, index, address)
        case .dumpRoutes(let index):
            writer.begin(type: UInt16(RTM_GETROUTE), flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP), sequence: sequence)
            writer.appendRoute(family: AF_INET6)
            writer.attribute(Int(RTA_OIF.rawValue), UInt32(bitPattern: index.rawValue))
        case .removeRoute(let body):
            begin(&writer, type: RTM_DELROUTE, sequence: sequence)
            writer.append(body)
        case .setGroup(let index, let group):
            beginLink(&writer, type: RTM_SETLINK, index, sequence: sequence)
            writer.attribute(Int(IFLA_GROUP), group)
        case .deleteGroup(let group):
            begin(&writer, type: RTM_DELLINK, sequence: sequence)
            writer.appendInterface(index: 0)
            writer.attribute(Int(IFLA_GROUP), group)
        case .delete(let index, let namespace):
            beginLink(&writer, type: RTM_DELLINK, index, in: namespace, sequence: sequence)
        case .queueDiscipline(let index, let discipline): begin(&writer, discipline, of: index, sequence: sequence)
        }
        writer.end()
    }

    /// `RTEXT_FILTER_SKIP_STATS`: the counters are more than half of a link message, and are not needed here.
    private static let withoutStatistics: UInt32 = 1 << 3

    private func begin(_ writer: inout NetlinkWriter, type: some BinaryInteger, flags: Int32 = 0, sequence: UInt32) {
        writer.begin(type: UInt16(type), flags: UInt16(NLM_F_REQUEST | NLM_F_ACK | flags), sequence: sequence)
    }

    private func begin(
        _ writer: inout NetlinkWriter, _ discipline: QueueDiscipline, of index: LinkIndex, sequence: UInt32
    ) {
        switch discipline {
        case .noqueue:
            begin(&writer, type: RTM_NEWQDISC, flags: NLM_F_CREATE | NLM_F_REPLACE, sequence: sequence)
            appendTraffic(&writer, index)
            writer.attribute(Int(TCA_KIND), text: "noqueue")
        case .kernelDefault, .unmanaged:
            begin(&writer, type: RTM_DELQDISC, sequence: sequence)
            appendTraffic(&writer, index)
        }
    }

    private func append(_ writer: inout NetlinkWriter, _ index: LinkIndex, in namespace: Int32?) {
        writer.appendInterface(index: index.rawValue)
        // Later headers also call it IFLA_TARGET_NETNSID.
        if let namespace { writer.attribute(Int(IFLA_IF_NETNSID), UInt32(bitPattern: namespace)) }
    }

    private func beginLink(
        _ writer: inout NetlinkWriter, type: some BinaryInteger, _ index: LinkIndex, in namespace: Int32? = nil,
        sequence: UInt32
    ) {
        begin(&writer, type: type, sequence: sequence)
        append(&writer, index, in: namespace)
    }

    private func appendAltNames(_ writer: inout NetlinkWriter, _ index: LinkIndex, _ names: [String]) {
        writer.appendInterface(index: index.rawValue)
        writer.attribute(Int(IFLA_PROP_LIST) | Int(NLA_F_NESTED)) { list in
            for name in names { list.attribute(Int(IFLA_ALT_IFNAME), text: name) }
        }
    }

    private func appendAddress(
        _ writer: inout NetlinkWriter, _ index: LinkIndex, _ address: InterfaceAddress, flags: UInt8 = 0
    ) {
        writer.appendAddress(
            family: address.isIPv6 ? AF_INET6 : AF_INET, prefixLength: UInt8(address.prefixLength), flags: flags,
            index: index.rawValue)
        writer.attribute(Int(IFA_LOCAL), bytes: address.bytes)
        writer.attribute(Int(IFA_ADDRESS), bytes: address.bytes)
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
