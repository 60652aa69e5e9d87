/// The ordered steps from the observed to the wanted state.
extension WantedDevice {
    func stepsToCreate(in namespace: ObservedNamespace) -> [Step] {
        let settings = DescriptorSettings(spec)
        var steps: [Step] = [.create(CreationFlags(spec))]
        if let owner { steps.append(.setOwner(owner)) }
        if let group, spec.access == .open { steps.append(.setGroup(group)) }
        steps += stepsToSet(settings)
        // The claim comes first, so that a crash never leaves a persistent device without one.
        steps += [.claim(settings), .persist]
        let fresh = ObservedLink(fresh: name, kind: spec.kind, defaults: namespace.defaults)
        var fields = linkFields(differingFrom: fresh, in: namespace)
        // Also where the defaults say the same, since they may change meanwhile.
        if spec.link.ipv6 != .kernelDefault { fields.insert(.ipv6) }
        steps += linkSteps(fields, of: fresh, in: namespace) + nameSteps(fields, of: fresh)
        steps += stepsToAddAddresses(fields, of: fresh, in: namespace)
        return steps + stepsToEndCreation
    }

    private var stepsToEndCreation: [Step] {
        guard wantsAnchor else { return spec.link.carrier == .off ? [.release, .setCarrier(false)] : [.release] }
        // The kernel turns a carrier on only while a queue is attached, and keeps it on while one is open.
        return spec.link.carrier == .on ? [.setCarrier(true), .anchor] : [.anchor, .setCarrier(false)]
    }

    private func stepsToSet(_ settings: DescriptorSettings) -> [Step] {
        var steps: [Step] = []
        if let size = settings.vnetHeaderSize { steps.append(.setVnetHeaderSize(size)) }
        if let offloads = settings.offloads { steps.append(.setOffloads(offloads)) }
        return steps
    }

    private func joining(in namespace: ObservedNamespace) -> ControllerChange? {
        guard let name = spec.link.controller, spec.controllerObstacle(in: namespace) == nil,
            let controller = namespace[name.text]
        else { return nil }
        return .join(name, controller.index)
    }

    func stepsToRepair(
        _ differences: [Difference], of link: ObservedLink, in namespace: ObservedNamespace
    ) -> [Step] {
        let fields = Set(differences.map(\.field))
        return descriptorSteps(fields, of: link, isAnchored: namespace.anchored.contains(link.index))
            + stepsToRemoveAddresses(fields, of: link, in: namespace) + linkSteps(fields, of: link, in: namespace)
            + stepsToForgetLearned(fields, of: link, in: namespace) + nameSteps(fields, of: link)
            + stepsToAddAddresses(fields, of: link, in: namespace)
            + carrierSteps(differences)
    }

    private func descriptorSteps(_ fields: Set<DeviceField>, of link: ObservedLink, isAnchored: Bool) -> [Step] {
        let throughDescriptor: Set<DeviceField> = [
            .packetInfo, .vnetHeader, .persistent, .owner, .group, .vnetHeaderSize, .offloads,
        ]
        // The kernel turns a carrier on only while a queue is attached.
        let restoresCarrier = fields.contains(.carrier) && spec.link.carrier == .on
        let needsDescriptor = !fields.isDisjoint(with: throughDescriptor) || restoresCarrier
        // Attaching the first queue sets the flags. An anchor counts as a queue, so it is closed and opened again.
        let restoresFlags = fields.contains(.packetInfo) || fields.contains(.vnetHeader)
        let reattaches = isAnchored && (restoresFlags || restoresCarrier)
        let anchors = fields.contains(.anchor) && wantsAnchor
        let attaches = (needsDescriptor || anchors) && (!isAnchored || reattaches)
        var steps: [Step] = []
        if reattaches { steps.append(.release) }
        if attaches {
            steps.append(.attach(CreationFlags(spec), carrier: spec.link.carrier == .on || link.carrier))
        }
        if fields.contains(.owner), let owner { steps.append(.setOwner(owner)) }
        if fields.contains(.group), let group { steps.append(.setGroup(group)) }
        if !fields.isDisjoint(with: [.vnetHeaderSize, .offloads]) {
            let settings = DescriptorSettings(spec)
            steps += stepsToSet(settings) + [.claim(settings)]
        }
        if fields.contains(.persistent) { steps.append(.persist) }
        if attaches { steps.append(wantsAnchor ? .anchor : .release) }
        if isAnchored, !wantsAnchor { steps.append(.release) }
        return steps
    }

    private func linkSteps(
        _ fields: Set<DeviceField>, of link: ObservedLink, in namespace: ObservedNamespace
    ) -> [Step] {
        var fields = fields
        var steps: [Step] = []
        // The first ifup of a device without a qdisc makes 256 of them, so the qdisc is set before.
        if fields.contains(.queueDiscipline) { steps.append(.setQueueDiscipline(spec.link.queueDiscipline)) }
        if fields.contains(.name), link.up {
            // Kernels before 6.2 do not rename an interface that is up.
            steps.append(.setLink([.up(false)]))
            fields.insert(.up)
        }
        // The kernel sets the size for IPv4 along with the general one.
        if fields.contains(.gsoMaxBytes) { fields.insert(.gsoIPv4MaxBytes) }
        // With a larger MTU the kernel makes IPv6 anew.
        if fields.contains(.mtu), link.ip?.ipv6 == nil { fields.insert(.ipv6) }
        let change = linkChange(fields, of: link, in: namespace)
        let ip = fields.contains(.ipv6) ? ipSettings(of: link, in: namespace) : nil
        let port = settingsToRestore(change, in: namespace)
        guard ip != nil || !port.isEmpty else { return steps + (change.isEmpty ? [] : [.setLink(change)]) }
        // An interface that comes up gets a link-local address and sends packets, and a port forwards. That of a link
        // which is up forwards at once, so its settings follow in the same send; the flags come first, since nothing
        // among them is refused.
        let (ups, others) = (change.filter { $0 == .up(true) }, change.filter { $0 != .up(true) })
        if !others.isEmpty { steps.append(.setLink(others)) }
        let flags = port.filter(\.kind.isFlag)
        if !flags.isEmpty { steps.append(.restorePort(flags)) }
        steps += port.filter { !$0.kind.isFlag }.map { .restorePort([$0]) }
        if let ip { steps.append(.setLink([.ip(ip)])) }
        if let ipv6 = ip?.ipv6 { steps.append(.setIPv6(ipv6)) }
        return steps + (ups.isEmpty ? [] : [.setLink(ups)])
    }

    /// What other programs had set on the port when it was last in the bridge that `change` joins.
    private func settingsToRestore(_ change: LinkChange, in namespace: ObservedNamespace) -> [BridgePortSetting] {
        guard case .join(_, let controller)? = change.controller, let bridge = namespace[controller] else { return [] }
        return namespace.rememberedPorts[name]?[bridge.name] ?? []
    }

    /// Comes after the settings, so that the kernel does not learn them again. Without IPv6 they go by themselves.
    private func stepsToForgetLearned(
        _ fields: Set<DeviceField>, of link: ObservedLink, in namespace: ObservedNamespace
    ) -> [Step] {
        guard fields.contains(.ipv6), usesClosedIPv6 else { return [] }
        return learnedAddresses(of: link, in: namespace).map { .removeAddress($0) } + [.removeLearnedRoutes]
    }

    /// The attributes that set link fields to their wanted values, on a new or an existing link.
    private func linkChange(
        _ fields: Set<DeviceField>, of link: ObservedLink, in namespace: ObservedNamespace
    ) -> LinkChange {
        DeviceField.allCases.filter(fields.contains).compactMap { field in
            switch field {
            case .controller: controllerChange(in: namespace)
            case .mtu: .mtu(mtu(of: link, in: namespace))
            default: attribute(of: field)
            }
        }
    }

    /// - Returns: `nil` if the controller cannot be joined now.
    private func controllerChange(in namespace: ObservedNamespace) -> LinkAttribute? {
        guard spec.link.controller != nil else { return .controller(.leave) }
        return joining(in: namespace).map { .controller($0) }
    }

    /// The wanted value of a link field; `nil` if it is not managed, depends on other interfaces, or is set by other
    /// steps.
    func attribute(of field: DeviceField) -> LinkAttribute? {
        switch field {
        case .name: .name(name)
        case .macAddress: macAddress.map { .macAddress($0) }
        case .transmitQueueLength: .transmitQueueLength(spec.link.transmitQueueLength)
        case .up: .up(spec.link.up)
        case .alias: .alias(spec.link.alias)
        case .gsoMaxBytes: spec.link.gsoMaxBytes.map { .gsoMaxBytes($0) }
        case .gsoIPv4MaxBytes: spec.link.gsoIPv4MaxBytes.map { .gsoIPv4MaxBytes($0) }
        case .device, .kind, .multiQueue, .packetInfo, .vnetHeader, .vnetHeaderSize, .offloads, .networkNamespace,
            .napi, .napiFrags, .sendBuffer, .owner, .group, .persistent, .anchor, .queueDiscipline, .carrier,
            .controller, .mtu, .altNames, .addresses, .ipv6:
            nil
        }
    }

    private func nameSteps(_ fields: Set<DeviceField>, of link: ObservedLink) -> [Step] {
        guard fields.contains(.altNames) else { return [] }
        let stale = link.altNames.filter { name in !spec.link.altNames.contains { $0.text == name } }
        let missing = spec.link.altNames.filter { !link.altNames.contains($0.text) }
        return (stale.isEmpty ? [] : [.removeAltNames(stale)]) + (missing.isEmpty ? [] : [.addAltNames(missing)])
    }

    /// Comes before the change of the MTU, since the kernel removes IPv6 below an MTU of 1,280.
    private func stepsToRemoveAddresses(
        _ fields: Set<DeviceField>, of link: ObservedLink, in namespace: ObservedNamespace
    ) -> [Step] {
        guard fields.contains(.addresses) else { return [] }
        let stale = addressChange(link, in: namespace).stale
        var steps: [Step] = []
        if stale.contains(where: { !$0.isIPv6 }) {
            // Otherwise the kernel removes all addresses of an IPv4 network with its first one, even those of others.
            steps.append(.setLink([.promoteSecondaries]))
        }
        return steps + stale.map { .removeAddress($0) }
    }

    /// Comes after the link is up, since the kernel removes IPv6 addresses when a link goes down.
    private func stepsToAddAddresses(
        _ fields: Set<DeviceField>, of link: ObservedLink, in namespace: ObservedNamespace
    ) -> [Step] {
        guard fields.contains(.addresses) else { return [] }
        return addressChange(link, in: namespace).missing.map {
            .addAddress($0, detectsDuplicates: spec.link.duplicateAddressDetection)
        }
    }

    private func carrierSteps(_ differences: [Difference]) -> [Step] {
        guard spec.link.carrier != .on, let carrier = differences.first(where: { $0.field == .carrier }) else {
            return []
        }
        return [.setCarrier(carrier.wanted == .bool(true))]
    }
}
