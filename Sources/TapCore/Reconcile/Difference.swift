/// A field whose observed value is not the wanted one.
public struct Difference: Hashable, Sendable {
    /// In the terms of the API.
    public typealias Value = FieldValue

    /// The field.
    public let field: DeviceField
    /// The spec's value, or the default for the device; `.nothing` if unset.
    public let wanted: Value
    /// The kernel's value; `.nothing` if unset or unknown.
    public let observed: Value

    public init(_ field: DeviceField, wanted: Value, observed: Value) {
        self.field = field
        self.wanted = wanted
        self.observed = observed
    }
}

/// Collects differences. Converts only differing values to `FieldValue`, since most values do not differ.
private struct Comparison {
    var found: [Difference] = []
    /// Whether the differences have values, or only fields.
    var includesValues = true

    mutating func compare<Value: Equatable>(
        _ field: DeviceField, _ wanted: Value, _ observed: Value, _ convert: (Value) -> Difference.Value
    ) {
        if wanted != observed {
            found.append(
                includesValues
                    ? Difference(field, wanted: convert(wanted), observed: convert(observed))
                    : Difference(field, wanted: .nothing, observed: .nothing))
        }
    }

    mutating func compare<Value: Equatable>(
        _ field: DeviceField, _ wanted: Value?, _ observed: Value?, _ convert: (Value) -> Difference.Value
    ) {
        if wanted != observed {
            let wanted = includesValues ? wanted.map(convert) : nil
            let observed = includesValues ? observed.map(convert) : nil
            found.append(Difference(field, wanted: wanted ?? .nothing, observed: observed ?? .nothing))
        }
    }
}

extension WantedDevice {
    /// Every field in which the device's interface differs from the wanted state.
    ///
    /// - Parameters:
    ///   - link: The device's interface as observed.
    ///   - namespace: The namespace of the interface.
    /// - Returns: Empty if the kernel matches the wanted state.
    public func differences(from link: ObservedLink, in namespace: ObservedNamespace) -> [Difference] {
        guard let tun = link.tun else { return [Difference(.device, wanted: .text("present"), observed: .nothing)] }
        var comparison = Comparison()
        comparison.compare(.name, name.text, link.name) { .text($0) }
        compareCreation(tun, &comparison)
        compareSettings(link, tun, in: namespace, &comparison)
        compareLink(link, in: namespace, &comparison)
        comparison.compare(.anchor, wantsAnchor, namespace.anchored.contains(link.index)) { .bool($0) }
        if let carrier = wantedCarrier(tun) { comparison.compare(.carrier, carrier, link.carrier) { .bool($0) } }
        return comparison.found
    }

    /// The fields other than the name that rtnetlink messages must set on a link.
    func linkFields(differingFrom link: ObservedLink, in namespace: ObservedNamespace) -> Set<DeviceField> {
        var comparison = Comparison(includesValues: false)
        compareLink(link, in: namespace, &comparison)
        return Set(comparison.found.map(\.field))
    }

    private func compareLink(_ link: ObservedLink, in namespace: ObservedNamespace, _ comparison: inout Comparison) {
        compareAttributes(link, in: namespace, &comparison)
        compareControllerAndAddresses(link, in: namespace, &comparison)
    }

    /// The wanted carrier; `nil` if it depends on attached queues that the kernel does not report (single-queue ABI).
    private func wantedCarrier(_ tun: ObservedTun) -> Bool? {
        switch spec.draft.link.carrier {
        case .on: true
        case .off: false
        // With a carrier but no attached queue, the kernel would drop all packets.
        case .automatic: tun.attachedQueues.map { $0 > 0 }
        }
    }

    private func compareCreation(_ tun: ObservedTun, _ comparison: inout Comparison) {
        comparison.compare(.kind, spec.draft.kind, tun.kind) { .text($0.rawValue) }
        comparison.compare(.multiQueue, spec.draft.queues.isMultiple, tun.multiQueue) { .bool($0) }
        comparison.compare(.packetInfo, spec.draft.packetInfo, tun.packetInfo) { .bool($0) }
        comparison.compare(.vnetHeader, spec.draft.vnetHeader, tun.vnetHeader) { .bool($0) }
        comparison.compare(.persistent, true, tun.persistent) { .bool($0) }
        comparison.compare(.owner, owner, tun.owner) { .integer(Int($0)) }
        // A group cannot be removed again; on a brokered device it is that of an earlier spec or of a consumer.
        if spec.draft.access == .open || (group != nil && tun.group != nil) {
            comparison.compare(.group, group, tun.group) { .integer(Int($0)) }
        }
    }

    private func compareSettings(
        _ link: ObservedLink, _ tun: ObservedTun, in namespace: ObservedNamespace, _ comparison: inout Comparison
    ) {
        // While a consumer has the device open, both are what it has negotiated with its guest. A changed spec waits.
        if isReached, let attached = tun.attachedQueues, attached > 0 { return }
        let wanted = DescriptorSettings(spec)
        let known = claim?.settings
        if let size = wanted.vnetHeaderSize {
            let observed = tun.vnetHeaderSize ?? known?.vnetHeaderSize?.value
            comparison.compare(.vnetHeaderSize, size.value, observed) { .integer($0) }
        }
        // While a consumer has the device open, it may set the offloads itself.
        if let attached = tun.attachedQueues, attached > 0, spec.draft.access == .open { return }
        if let shown = tun.offloads, shown != wanted.offloads?.asShown {
            comparison.compare(.offloads, wanted.offloads, shown) { .words($0.names) }
        } else {
            // After a consumer has closed the device, offloads that the kernel does not report are unknown. While
            // another consumer is attached, it may set them itself.
            // Those of a brokered device without an anchor are set before each first lease.
            let isUnknown =
                (tun.attachedQueues ?? 0) == 0 && (spec.draft.access == .open || wantsAnchor)
                && namespace.unverified.contains(link.index)
            let offloads = isUnknown ? nil : known?.offloads
            comparison.compare(.offloads, wanted.offloads, offloads) { .words($0.names) }
        }
    }

    /// Link fields that are compared only by their attribute in `ObservedLink.attributes`.
    private static let attributeFields = DeviceField.allCases.filter { field in
        switch field {
        case .mtu, .macAddress, .transmitQueueLength, .up, .queueDiscipline, .carrier, .controller, .alias, .altNames,
            .addresses, .ipv6:
            false
        default: field.rawValue.hasPrefix("link.")
        }
    }

    private func compareAttributes(
        _ link: ObservedLink, in namespace: ObservedNamespace, _ comparison: inout Comparison
    ) {
        comparison.compare(.mtu, mtu(of: link, in: namespace).value, link.mtu) { .integer($0) }
        if let macAddress { comparison.compare(.macAddress, macAddress, link.macAddress) { .text("\($0)") } }
        comparison.compare(
            .transmitQueueLength, spec.draft.link.transmitQueueLength.value, link.transmitQueueLength
        ) { .integer($0) }
        comparison.compare(.up, spec.draft.link.up, link.up) { .bool($0) }
        for field in Self.attributeFields {
            guard let wanted = attribute(of: field) else { continue }
            let observed = link.attribute(of: field)
            if wanted != observed {
                comparison.found.append(
                    Difference(
                        field, wanted: wanted.setting.value, observed: observed?.setting.value ?? .unsupported))
            }
        }
        switch spec.draft.link.queueDiscipline {
        case .noqueue: comparison.compare(.queueDiscipline, "noqueue", link.queueDiscipline) { .text($0) }
        case .unmanaged: break
        case .kernelDefault:
            // Any other than `noqueue` is accepted, since the operator may have set a qdisc.
            if link.queueDiscipline == "noqueue" {
                comparison.compare(.queueDiscipline, "kernelDefault", "noqueue") { .text($0) }
            }
        }
        comparison.compare(.alias, spec.draft.link.alias?.text, link.alias) { .text($0) }
        if !spec.draft.link.altNames.isEmpty || !link.altNames.isEmpty {
            comparison.compare(.altNames, spec.draft.link.altNames.map(\.text).sorted(), link.altNames.sorted()) {
                .words($0)
            }
        }
    }

    private func compareControllerAndAddresses(
        _ link: ObservedLink, in namespace: ObservedNamespace, _ comparison: inout Comparison
    ) {
        if spec.draft.link.controllerPolicy == .managed, spec.draft.link.controller != nil || link.controller != nil {
            let controller = link.controller.map { index in
                // The spec may use an alternative name of the controller.
                if let wanted = spec.draft.link.controller, namespace[wanted.text]?.index == index {
                    return wanted.text
                }
                return namespace[index]?.name ?? "interface \(index.rawValue)"
            }
            comparison.compare(.controller, spec.draft.link.controller?.text, controller) { .text($0) }
        }
        if let difference = ipDifference(of: link, in: namespace) { comparison.found.append(difference) }
        let change = addressChange(link, in: namespace)
        if !change.isEmpty {
            let observed = (namespace.addresses[link.index] ?? []).map(\.address)
            let kept = observed.filter { spec.draft.link.addresses.contains($0) || change.stale.contains($0) }
            comparison.compare(.addresses, spec.draft.link.addresses, kept.sorted()) { .words($0.map(\.description)) }
        }
    }

    /// The wanted MTU: the bridge's if the device follows it, as far as the device's kind permits.
    ///
    /// A VRF's MTU does not bind its members, so it is not followed.
    func mtu(of link: ObservedLink, in namespace: ObservedNamespace) -> MTU {
        guard spec.draft.link.mtuPolicy == .controller else { return spec.draft.link.mtu }
        let controller =
            switch spec.draft.link.controllerPolicy {
            case .managed: spec.draft.link.controller.flatMap { namespace[$0.text] }
            case .unmanaged: link.controller.flatMap { namespace[$0] }
            }
        guard let controller, controller.kind == ObservedLink.bridgeKind else { return spec.draft.link.mtu }
        return MTU(unchecked: min(max(controller.mtu, MTU.bounds.lowerBound), spec.draft.kind.mtuMax))
    }

    struct AddressChange {
        let missing: [InterfaceAddress]
        /// Addresses that Tapster has added (`ObservedAddress.origin`) and the spec no longer has.
        let stale: [InterfaceAddress]

        var isEmpty: Bool { missing.isEmpty && stale.isEmpty }
    }

    func addressChange(_ link: ObservedLink, in namespace: ObservedNamespace) -> AddressChange {
        let observed = namespace.addresses[link.index] ?? []
        return AddressChange(
            missing: spec.draft.link.addresses.filter { wanted in !observed.contains { $0.address == wanted } },
            stale: observed.filter { $0.origin == .tapster && !spec.draft.link.addresses.contains($0.address) }.map(
                \.address))
    }
}
