/// Why a device is left alone although it is not as wanted.
public enum Obstacle: Hashable, Sendable {
    /// Somebody else's interface has the name.
    case foreignDevice(kind: String?, index: LinkIndex)
    /// The device is ours, but something that the kernel fixes at creation is not as wanted.
    case immutable([DeviceField])
}

/// What to do about one device: a pure value, shown by a dry run and executed by the worker.
public enum Decision: Hashable, Sendable {
    /// The kernel is as wanted.
    case settled(ObservedLink)
    /// These steps, for these differences.
    case act([Step], differences: [Difference], index: LinkIndex?)
    case blocked(Obstacle)
}

extension WantedDevice {
    /// Decides from the wanted and the observed alone; a second look after the steps were done decides `settled`.
    ///
    /// - Parameters:
    ///   - links: Every interface of the namespace.
    ///   - anchored: The devices of which we hold a detached descriptor.
    ///   - host: The kernel and namespace that `links` come from.
    /// - Returns: Whether all is well, what to do, or why nothing can be done.
    public func decide(links: LinkTable, anchored: Set<LinkIndex>, host: HostIdentity) -> Decision {
        let mine = ownLink(in: links, host: host)
        if isDeletionRequested {
            guard let mine else { return .act([.forget], differences: [], index: nil) }
            return .act([.delete], differences: [], index: mine.index)
        }
        guard let mine else {
            if let foreign = links[name.text] {
                return .blocked(.foreignDevice(kind: foreign.kind, index: foreign.index))
            }
            let missing = Difference(.device, wanted: .text("present"), observed: .nothing)
            return .act(stepsToCreate(), differences: [missing], index: nil)
        }
        if let other = links[name.text], other.index != mine.index {
            // Ours was renamed, and somebody took its name.
            return .blocked(.foreignDevice(kind: other.kind, index: other.index))
        }
        let isAnchored = anchored.contains(mine.index)
        let differences = differences(from: mine, isAnchored: isAnchored)
        guard !differences.isEmpty else { return .settled(mine) }
        let fixed = differences.filter(\.isFixed).map(\.field)
        guard fixed.isEmpty else { return .blocked(.immutable(fixed)) }
        let steps = stepsToRepair(differences, of: mine, isAnchored: isAnchored)
        return .act(steps, differences: differences, index: mine.index)
    }

    /// The interface that the claim names, whatever it is called now.
    public func ownLink(in links: LinkTable, host: HostIdentity) -> ObservedLink? {
        guard let claim, claim.host == host, let link = links[claim.index], link.tun != nil else { return nil }
        return link
    }

    private func stepsToCreate() -> [Step] {
        let settings = DescriptorSettings(spec)
        var steps: [Step] = [.create(CreationFlags(spec))]
        if let owner { steps.append(.setOwner(owner)) }
        if let group { steps.append(.setGroup(group)) }
        steps += stepsToSet(settings)
        // The order is what makes a crash harmless: proof first, persistence second.
        steps += [.claim(settings), .persist]
        // The first ifup of a device without a qdisc builds 256 of them, so the qdisc comes before the link.
        if spec.link.queueDiscipline == .noqueue { steps.append(.setQueueDiscipline(.noqueue)) }
        var change = LinkChange()
        change.macAddress = macAddress
        if spec.link.mtu != .ethernet { change.mtu = spec.link.mtu }
        if spec.link.transmitQueueLength != .standard { change.transmitQueueLength = spec.link.transmitQueueLength }
        if spec.link.up { change.up = true }
        if !change.isEmpty { steps.append(.setLink(change)) }
        return steps + (wantsAnchor ? [.anchor, .setCarrier(false)] : [.release])
    }

    private func stepsToSet(_ settings: DescriptorSettings) -> [Step] {
        var steps: [Step] = []
        if let size = settings.vnetHeaderSize { steps.append(.setVnetHeaderSize(size)) }
        steps.append(.setOffloads(settings.offloads))
        return steps
    }

    private func stepsToRepair(_ differences: [Difference], of link: ObservedLink, isAnchored: Bool) -> [Step] {
        let fields = Set(differences.map(\.field))
        let throughDescriptor: Set<DeviceField> = [
            .packetInfo, .vnetHeader, .persistent, .owner, .group, .vnetHeaderSize, .offloads,
        ]
        let needsDescriptor = !fields.isDisjoint(with: throughDescriptor)
        // Attaching restores the flags of a device that has no queue; an anchor pins them, so it is renewed.
        let restoresFlags = fields.contains(.packetInfo) || fields.contains(.vnetHeader)
        let reattaches = isAnchored && restoresFlags
        let attaches = (needsDescriptor || wantsAnchor) && (!isAnchored || reattaches)
        var steps: [Step] = []
        if reattaches { steps.append(.release) }
        if attaches { steps.append(.attach(CreationFlags(spec), carrier: link.carrier)) }
        if fields.contains(.owner), let owner { steps.append(.setOwner(owner)) }
        if fields.contains(.group), let group { steps.append(.setGroup(group)) }
        if !fields.isDisjoint(with: [.vnetHeaderSize, .offloads]) {
            let settings = DescriptorSettings(spec)
            steps += stepsToSet(settings) + [.claim(settings)]
        }
        if fields.contains(.persistent) { steps.append(.persist) }
        if attaches { steps.append(wantsAnchor ? .anchor : .release) }
        if isAnchored, !wantsAnchor { steps.append(.release) }
        return steps + linkSteps(fields, of: link) + carrierSteps(differences)
    }

    private func linkSteps(_ fields: Set<DeviceField>, of link: ObservedLink) -> [Step] {
        var steps: [Step] = []
        if fields.contains(.queueDiscipline) { steps.append(.setQueueDiscipline(spec.link.queueDiscipline)) }
        var change = LinkChange()
        if fields.contains(.name) {
            change.name = name
            if link.up {
                // Kernels before 6.2 rename nothing that is up.
                var down = LinkChange()
                down.up = false
                steps.append(.setLink(down))
                change.up = spec.link.up
            }
        }
        if fields.contains(.mtu) { change.mtu = spec.link.mtu }
        if fields.contains(.macAddress) { change.macAddress = macAddress }
        if fields.contains(.transmitQueueLength) { change.transmitQueueLength = spec.link.transmitQueueLength }
        if fields.contains(.up) { change.up = spec.link.up }
        if !change.isEmpty { steps.append(.setLink(change)) }
        return steps
    }

    private func carrierSteps(_ differences: [Difference]) -> [Step] {
        guard let carrier = differences.first(where: { $0.field == .carrier }) else { return [] }
        return [.setCarrier(carrier.wanted == .bool(true))]
    }
}

extension Difference {
    /// Whether the kernel fixes the field at creation: an owner and a group, once set, cannot be cleared.
    fileprivate var isFixed: Bool {
        switch field {
        case .kind, .multiQueue: true
        case .owner, .group: wanted == .nothing
        default: false
        }
    }
}
