/// A field in which the kernel differs from what is wanted; both values in the words of the API.
public struct Difference: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case nothing
        case bool(Bool)
        case integer(Int)
        case text(String)
        case words([String])

        fileprivate init(_ number: UInt32?) { self = number.map { .integer(Int($0)) } ?? .nothing }
        fileprivate init(_ text: String?) { self = text.map { .text($0) } ?? .nothing }
    }

    public let field: DeviceField
    public let wanted: Value
    public let observed: Value

    public init(_ field: DeviceField, wanted: Value, observed: Value) {
        self.field = field
        self.wanted = wanted
        self.observed = observed
    }
}

extension WantedDevice {
    /// Every field in which `link`, a device of ours, is not as wanted.
    ///
    /// - Parameters:
    ///   - link: What the kernel says of the device.
    ///   - namespace: Where it is.
    /// - Returns: Nothing when the kernel is as wanted.
    public func differences(from link: ObservedLink, in namespace: ObservedNamespace) -> [Difference] {
        guard let tun = link.tun else { return [Difference(.device, wanted: .text("present"), observed: .nothing)] }
        var found: [Difference] = []
        func compare(_ field: DeviceField, _ wanted: Difference.Value, _ observed: Difference.Value) {
            if wanted != observed { found.append(Difference(field, wanted: wanted, observed: observed)) }
        }
        let isAnchored = namespace.anchored.contains(link.index)
        compare(.name, .text(name.text), .text(link.name))
        compareCreation(tun, compare)
        compareSettings(link, tun, in: namespace, compare)
        compareLink(link, compare)
        compareNeighbours(link, in: namespace, compare)
        compare(.anchor, .bool(wantsAnchor), .bool(isAnchored))
        if let carrier = wantedCarrier(tun) { compare(.carrier, .bool(carrier), .bool(link.carrier)) }
        return found
    }

    /// Whether a carrier shall be there now; nothing where only the kernel knows what is attached.
    private func wantedCarrier(_ tun: ObservedTun) -> Bool? {
        switch spec.link.carrier {
        case .on: true
        case .off: false
        // A carrier without an attached queue is a black hole.
        case .automatic: tun.attachedQueues.map { $0 > 0 }
        }
    }

    private typealias Compare = (DeviceField, Difference.Value, Difference.Value) -> Void

    private func compareCreation(_ tun: ObservedTun, _ compare: Compare) {
        compare(.kind, .text(spec.kind.rawValue), .text(tun.kind.rawValue))
        compare(.multiQueue, .bool(spec.queues.isMultiple), .bool(tun.multiQueue))
        compare(.packetInfo, .bool(spec.packetInfo), .bool(tun.packetInfo))
        compare(.vnetHeader, .bool(spec.vnetHeader), .bool(tun.vnetHeader))
        compare(.persistent, .bool(true), .bool(tun.persistent))
        // On a brokered device a group that an earlier spec left only narrows further who else may open it.
        compare(.owner, Difference.Value(owner), Difference.Value(tun.owner))
        if group != nil || spec.access == .open {
            compare(.group, Difference.Value(group), Difference.Value(tun.group))
        }
    }

    private func compareSettings(
        _ link: ObservedLink, _ tun: ObservedTun, in namespace: ObservedNamespace, _ compare: Compare
    ) {
        let wanted = DescriptorSettings(spec)
        let known = claim?.settings
        if let size = wanted.vnetHeaderSize {
            let observed = tun.vnetHeaderSize ?? known?.vnetHeaderSize?.value
            compare(.vnetHeaderSize, .integer(size.value), observed.map { .integer($0) } ?? .nothing)
        }
        // The kernel tells nobody; after a consumer of an open device has gone, it may be anything.
        let offloads = namespace.unverified.contains(link.index) ? nil : known?.offloads
        compare(
            .offloads, .words(wanted.offloads?.names ?? []), offloads.map { .words($0.names) } ?? .nothing)
    }

    private func compareLink(_ link: ObservedLink, _ compare: Compare) {
        compare(.mtu, .integer(spec.link.mtu.value), .integer(link.mtu))
        if let macAddress {
            compare(.macAddress, .text(macAddress.description), Difference.Value(link.macAddress?.description))
        }
        compare(
            .transmitQueueLength, .integer(spec.link.transmitQueueLength.value), .integer(link.transmitQueueLength))
        compare(.up, .bool(spec.link.up), .bool(link.up))
        switch spec.link.queueDiscipline {
        case .noqueue: compare(.queueDiscipline, .text("noqueue"), .text(link.queueDiscipline))
        case .kernelDefault:
            // Anything but ours will do: the operator may have put a qdisc of their own there.
            if link.queueDiscipline == "noqueue" {
                compare(.queueDiscipline, .text("kernelDefault"), .text("noqueue"))
            }
        }
        compare(.alias, Difference.Value(spec.link.alias?.text), Difference.Value(link.alias))
        compare(.altNames, .words(spec.link.altNames.map(\.text).sorted()), .words(link.altNames.sorted()))
    }

    private func compareNeighbours(_ link: ObservedLink, in namespace: ObservedNamespace, _ compare: Compare) {
        let controller = link.controller.map { namespace[$0]?.name ?? "interface \($0.rawValue)" }
        compare(.controller, Difference.Value(spec.link.controller?.text), Difference.Value(controller))
        let change = addressChange(link, in: namespace)
        if !change.isEmpty {
            let observed = (namespace.addresses[link.index] ?? []).map(\.address)
            let kept = observed.filter { spec.link.addresses.contains($0) || change.stale.contains($0) }
            compare(
                .addresses, .words(spec.link.addresses.map(\.description)), .words(kept.sorted().map(\.description)))
        }
    }

    struct AddressChange {
        let missing: [InterfaceAddress]
        /// They bear our mark, and nobody wants them any more.
        let stale: [InterfaceAddress]

        var isEmpty: Bool { missing.isEmpty && stale.isEmpty }
    }

    func addressChange(_ link: ObservedLink, in namespace: ObservedNamespace) -> AddressChange {
        let observed = namespace.addresses[link.index] ?? []
        return AddressChange(
            missing: spec.link.addresses.filter { wanted in !observed.contains { $0.address == wanted } },
            stale: observed.filter { $0.isOurs && !spec.link.addresses.contains($0.address) }.map(\.address))
    }
}
