/// The fields of one spec that cannot stand together.
public struct SpecContradictions: Error, Hashable, Sendable {
    public struct Contradiction: Hashable, Sendable {
        public let field: DeviceField
        public let detail: String

        public init(_ field: DeviceField, _ detail: String) {
            self.field = field
            self.detail = detail
        }
    }

    public let found: [Contradiction]
}

extension DeviceSpecDraft {
    /// Below it the kernel takes IPv6 off an interface (`IPV6_MIN_MTU`).
    private static let ipv6MTUMin = 1_280

    /// Every pair of fields that cannot stand together.
    var contradictions: [SpecContradictions.Contradiction] {
        offloadContradictions + kindContradictions + queueContradictions + linkContradictions
    }

    private var offloadContradictions: [SpecContradictions.Contradiction] {
        guard let offloads else { return [] }
        if let contradiction = offloads.contradiction { return [.init(.offloads, contradiction)] }
        guard !offloads.isEmpty, !vnetHeader else { return [] }
        return [.init(.offloads, "offloads need the vnet header: set vnetHeader to true, or offloads to []")]
    }

    private var kindContradictions: [SpecContradictions.Contradiction] {
        var found: [SpecContradictions.Contradiction] = []
        if link.mtu.value > kind.mtuMax {
            found.append(.init(.mtu, "the MTU is \(link.mtu.value), but a \(kind) has at most \(kind.mtuMax)"))
        }
        if kind == .tun, link.macAddress != nil {
            found.append(.init(.macAddress, "a tun carries IP packets and has no MAC address; leave it out"))
        }
        return found
    }

    private var queueContradictions: [SpecContradictions.Contradiction] {
        var found: [SpecContradictions.Contradiction] = []
        if access == .open, sendBuffer != nil {
            found.append(
                .init(
                    .sendBuffer,
                    "it belongs to each queue, and with access 'open' the consumers open them; leave it out, and let "
                        + "them set it (TUNSETSNDBUF)"))
        }
        if napi, access == .open {
            found.append(
                .init(
                    .napi,
                    "it belongs to each queue, and with access 'open' the consumers open them; leave it out, and let "
                        + "them set it (IFF_NAPI)"))
        }
        if napiFrags, !napi || kind == .tun {
            found.append(.init(.napiFrags, "the kernel does it only on a tap, and only with napi: true"))
        }
        return found
    }

    private var linkContradictions: [SpecContradictions.Contradiction] {
        var found: [SpecContradictions.Contradiction] = []
        if link.carrier == .on, !queues.isMultiple {
            found.append(
                .init(
                    .carrier,
                    "'on' needs a queue that keeps the carrier, and a device with multiQueue: false has no place for "
                        + "it"))
        }
        let hosts = link.addresses.filter(\.isIPv6).map(\.bytes)
        if Set(hosts).count < hosts.count {
            found.append(.init(.addresses, "an IPv6 address cannot be there twice, with another prefix length either"))
        }
        if link.mtu.value < Self.ipv6MTUMin, link.addresses.contains(where: \.isIPv6) {
            found.append(
                .init(
                    .addresses,
                    "IPv6 needs an MTU of at least \(Self.ipv6MTUMin) (RFC 8200), but it is \(link.mtu.value)"))
        }
        return found
    }
}
