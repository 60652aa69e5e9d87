/// Fields of one spec that contradict each other.
public struct SpecContradictions: Error, Hashable, Sendable {
    /// A field whose value is impossible with the values of other fields, or on the running kernel.
    public struct Contradiction: Hashable, Sendable {
        /// The field that the client should change.
        public let field: DeviceField
        /// What is wrong and what to do, without a final full stop.
        public let detail: String

        public init(_ field: DeviceField, _ detail: String) {
            self.field = field
            self.detail = detail
        }
    }

    /// At least one.
    public let found: [Contradiction]
}

extension DeviceSpecDraft {
    /// Below this MTU the kernel removes IPv6 from an interface (`IPV6_MIN_MTU`).
    static let ipv6MTUMin = 1_280

    /// Every combination of fields that cannot be fulfilled.
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
                    "this is set on each queue, and with access 'open' the consumers open the queues; leave it out and "
                        + "let them set it (TUNSETSNDBUF)"))
        }
        if napi, access == .open {
            found.append(
                .init(
                    .napi,
                    "this is set on each queue, and with access 'open' the consumers open the queues; leave it out and "
                        + "let them set it (IFF_NAPI)"))
        }
        if napiFrags, !napi || kind == .tun {
            found.append(.init(.napiFrags, "the kernel supports this only on a tap with napi: true"))
        }
        return found
    }

    private var linkContradictions: [SpecContradictions.Contradiction] {
        var found: [SpecContradictions.Contradiction] = []
        if link.carrier == .on, !queues.isMultiple {
            found.append(
                .init(
                    .carrier,
                    "'on' needs a second queue that keeps the carrier, which a device with multiQueue: false cannot "
                        + "have; set multiQueue to true"))
        }
        if link.controllerPolicy == .unmanaged, let controller = link.controller {
            found.append(
                .init(
                    .controller,
                    "is '\(controller.text)', but with controllerPolicy 'unmanaged' other programs choose the "
                        + "controller; leave one of the two out"))
        }
        let hosts = link.addresses.filter(\.isIPv6).map(\.bytes)
        if Set(hosts).count < hosts.count {
            found.append(
                .init(
                    .addresses,
                    "duplicate IPv6 address; the kernel accepts each one once, even with different prefix lengths"))
        }
        if link.ipv6 == .off, link.addresses.contains(where: \.isIPv6) {
            found.append(
                .init(
                    .ipv6,
                    "is 'off', but link.addresses has an IPv6 address; use 'stated', or remove the address"))
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
