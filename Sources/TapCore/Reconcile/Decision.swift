/// What to do about one device: a pure value, shown by a dry run and executed by the worker.
public enum Decision: Hashable, Sendable {
    /// The kernel is as wanted.
    case settled(ObservedLink)
    /// These steps, for these differences.
    case act([Step], differences: [Difference], index: LinkIndex?)
    /// Nothing is done. The differences stay, and the steps are what would be done if the obstacle were gone.
    case blocked(Obstacle, differences: [Difference], steps: [Step])
}

extension WantedDevice {
    /// Decides from the wanted and the observed alone; a second look after the steps were done decides `settled`.
    ///
    /// - Parameters:
    ///   - namespace: All that is known of the namespace in which the device is wanted.
    ///   - contested: Fields that somebody changes again and again; they are not repaired now.
    /// - Returns: Whether all is well, what to do, or why nothing can be done.
    public func decide(in namespace: ObservedNamespace, contested: Set<DeviceField> = []) -> Decision {
        let mine = ownLink(in: namespace)
        if isDeletionRequested {
            guard let mine else { return .act([.forget], differences: [], index: nil) }
            return .act([.delete], differences: [], index: mine.index)
        }
        guard let mine else { return decideOnMissing(in: namespace, contested: contested) }
        if let other = namespace[name.text], other.index != mine.index {
            // Ours was renamed, and somebody took its name.
            let difference = Difference(.name, wanted: .text(name.text), observed: .text(mine.name))
            let taken = namespace.owners[other.index].map { Obstacle.nameTaken(by: $0) }
            return .blocked(
                taken
                    ?? .foreignDevice(kind: other.tun?.kind.rawValue ?? other.kind, index: other.index, mismatches: []),
                differences: [difference], steps: [])
        }
        let differences = differences(from: mine, in: namespace)
        guard !differences.isEmpty else { return .settled(mine) }
        if recreate, differences.contains(where: \.isSetAtCreation) {
            return .act([.delete], differences: differences, index: mine.index)
        }
        let fixed = differences.filter(\.isFixed)
        guard fixed.isEmpty else {
            return .blocked(.immutable(fixed.map(\.field)), differences: differences, steps: [])
        }
        return decideOnDifferences(differences, of: mine, in: namespace, contested: contested)
    }

    /// What to do in the namespace that a device shall leave, when its spec names another one.
    public func decideOnLeaving(_ namespace: ObservedNamespace) -> Decision? {
        guard let mine = ownLink(in: namespace) else { return nil }
        let wanted = spec.networkNamespace?.text
        let difference = Difference(
            .networkNamespace, wanted: wanted.map { .text($0) } ?? .nothing,
            observed: namespace.location.map { .text($0.text) } ?? .nothing)
        if isDeletionRequested || recreate {
            return .act([.delete], differences: [difference], index: mine.index)
        }
        return .blocked(.immutable([.networkNamespace]), differences: [difference], steps: [])
    }

    /// The interface that the claim names, whatever it is called now.
    public func ownLink(in namespace: ObservedNamespace) -> ObservedLink? {
        guard let claim, !claim.isLost, claim.host == namespace.host, let link = namespace[claim.index], link.tun != nil
        else {
            return nil
        }
        return link
    }

    private func decideOnMissing(in namespace: ObservedNamespace, contested: Set<DeviceField>) -> Decision {
        let missing = Difference(.device, wanted: .text("present"), observed: .nothing)
        if let foreign = namespace[name.text] {
            if let owner = namespace.owners[foreign.index] {
                return .blocked(.nameTaken(by: owner), differences: [missing], steps: [])
            }
            let mismatches = mismatches(foreign)
            guard spec.adoption == .compatible, mismatches.isEmpty, foreign.name == name.text else {
                let told = spec.adoption == .compatible ? mismatches : []
                return .blocked(
                    .foreignDevice(
                        kind: foreign.tun?.kind.rawValue ?? foreign.kind, index: foreign.index, mismatches: told),
                    differences: [missing], steps: [])
            }
            // Nobody knows yet what was set through its descriptors.
            let unknown = DescriptorSettings(vnetHeaderSize: nil, offloads: nil)
            return .act([.claim(unknown)], differences: [missing], index: foreign.index)
        }
        let steps = stepsToCreate(in: namespace)
        // On another boot, or in a namespace that was made anew, a missing device is nobody's doing.
        if isReached, claim?.host == namespace.host {
            if spec.driftPolicy == .report {
                return .blocked(.reportOnly([.device]), differences: [missing], steps: steps)
            }
            if contested.contains(.device) {
                return .blocked(.contested([.device]), differences: [missing], steps: steps)
            }
        }
        return .act(steps, differences: [missing], index: nil)
    }

    /// What keeps somebody else's device from being adopted.
    private func mismatches(_ foreign: ObservedLink) -> [DeviceField] {
        guard let tun = foreign.tun else { return [.kind] }
        var fields: [DeviceField] = []
        if tun.kind != spec.kind { fields.append(.kind) }
        if tun.multiQueue != spec.queues.isMultiple { fields.append(.multiQueue) }
        if tun.packetInfo != spec.packetInfo { fields.append(.packetInfo) }
        if tun.vnetHeader != spec.vnetHeader { fields.append(.vnetHeader) }
        if owner == nil, tun.owner != nil { fields.append(.owner) }
        if spec.access == .open, group == nil, tun.group != nil { fields.append(.group) }
        return fields
    }

    private func decideOnDifferences(
        _ differences: [Difference], of link: ObservedLink, in namespace: ObservedNamespace,
        contested: Set<DeviceField>
    ) -> Decision {
        var withheld: [Difference] = []
        var obstacle: Obstacle?
        func withhold(_ others: [Difference], _ reason: ([DeviceField]) -> Obstacle) {
            guard !others.isEmpty else { return }
            withheld += others
            obstacle = obstacle ?? reason(others.map(\.field))
        }
        var open = differences
        withhold(open.filter { $0.observed == .unsupported }) { .unsupported($0) }
        open.removeAll { withheld.contains($0) }
        if isReached, spec.driftPolicy == .report {
            withhold(open.filter(spec.isExternalDrift)) { .reportOnly($0) }
            open.removeAll { withheld.contains($0) }
        }
        if let attached = link.tun?.attachedQueues, attached > 0 {
            withhold(open.filter { $0.field.isSetByConsumers }) { .inUse($0) }
            open.removeAll { withheld.contains($0) }
        }
        // A new statement is nobody's repair.
        if isReached {
            withhold(open.filter { contested.contains($0.field) }) { .contested($0) }
            open.removeAll { withheld.contains($0) }
        }
        if open.contains(where: { $0.field == .controller }), let inTheWay = spec.controllerObstacle(in: namespace) {
            withhold(open.filter { $0.field == .controller }) { _ in inTheWay }
            open.removeAll { withheld.contains($0) }
        }
        if open.isEmpty, let obstacle {
            let steps = stepsToRepair(withheld, of: link, in: namespace)
            return .blocked(obstacle, differences: withheld, steps: steps)
        }
        return .act(stepsToRepair(open, of: link, in: namespace), differences: open, index: link.index)
    }
}

extension DeviceSpec {
    /// What keeps the device from joining its controller, if anything does.
    public func controllerObstacle(in namespace: ObservedNamespace) -> Obstacle? {
        guard let name = draft.link.controller else { return nil }
        guard let controller = namespace[name.text] else { return .controllerMissing(name) }
        switch controller.kind {
        case "bridge" where draft.kind == .tap:
            return namespace.ports(of: controller.index) >= Obstacle.bridgePortsMax ? .controllerFull(name) : nil
        case "vrf": return nil
        default: return .controllerUnsuitable(name, kind: controller.kind)
        }
    }

    /// A carrier that follows the consumers, our anchors, which end with the daemon, and what nobody knows are no
    /// stranger's doing.
    public func isExternalDrift(_ difference: Difference) -> Bool {
        switch difference.field {
        case .anchor: false
        case .carrier: draft.link.carrier != .automatic
        case .offloads, .vnetHeaderSize: difference.observed != .nothing
        default: difference.observed != .unsupported
        }
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

    /// Whether it is fixed, or nearly so: these flags can be set again, but only while nobody has the device open.
    fileprivate var isSetAtCreation: Bool {
        switch field {
        case .packetInfo, .vnetHeader: true
        default: isFixed
        }
    }
}
