/// What to do about one device. A dry run shows it; the worker carries it out.
public enum Decision: Hashable, Sendable {
    /// The kernel matches the wanted state.
    case settled(ObservedLink)
    /// Do the steps, which remove the differences. `index` is `nil` if the device has no interface.
    case act([Step], differences: [Difference], index: LinkIndex?)
    /// Do nothing. The differences remain; the steps are what would be done without the obstacle.
    case blocked(Obstacle, differences: [Difference], steps: [Step])
}

extension WantedDevice {
    /// Decides from the wanted and the observed state only. After the steps, the next decision is `settled`.
    ///
    /// - Parameters:
    ///   - namespace: The observed state of the namespace in which the device is wanted.
    ///   - contested: Fields that another process changes repeatedly; they are not repaired now.
    ///   - retriesDuplicates: Whether to add addresses again that another host had.
    /// - Returns: The steps to do, or the reason why there are none.
    public func decide(
        in namespace: ObservedNamespace, contested: Set<DeviceField> = [], retriesDuplicates: Bool = false
    ) -> Decision {
        let link = ownLink(in: namespace)
        if isDeletionRequested {
            guard let link else { return .act([.forget], differences: [], index: nil) }
            return .act([.delete], differences: [], index: link.index)
        }
        guard let link else { return decideOnMissing(in: namespace, contested: contested) }
        if let other = namespace[name.text], other.index != link.index {
            // The device's interface was renamed, and another interface has the device's name.
            let difference = Difference(.name, wanted: .text(name.text), observed: .text(link.name))
            let taken = namespace.owners[other.index].map { Obstacle.nameTaken(by: $0) }
            return .blocked(
                taken
                    ?? .foreignDevice(kind: other.tun?.kind.rawValue ?? other.kind, index: other.index, mismatches: []),
                differences: [difference], steps: [])
        }
        if link.index == replaced { return .act([.delete], differences: [], index: link.index) }
        let differences = differences(from: link, in: namespace)
        guard !differences.isEmpty else {
            let steps = stepsToRenewAddresses(of: link, in: namespace, retriesDuplicates: retriesDuplicates)
            return steps.isEmpty ? .settled(link) : .act(steps, differences: [], index: link.index)
        }
        if recreate, differences.contains(where: \.isSetAtCreation) {
            return .act([.delete], differences: differences, index: link.index)
        }
        let fixed = differences.filter(\.isFixed)
        guard fixed.isEmpty else {
            return .blocked(.immutable(fixed.map(\.field)), differences: differences, steps: [])
        }
        return decideOnDifferences(differences, of: link, in: namespace, contested: contested)
    }

    /// What to do in the namespace of an existing interface if the spec names another namespace.
    ///
    /// - Returns: `nil` if the device has no interface there.
    public func decideOnLeaving(_ namespace: ObservedNamespace) -> Decision? {
        guard let link = ownLink(in: namespace) else { return nil }
        let wanted = spec.networkNamespace?.text
        let difference = Difference(
            .networkNamespace, wanted: wanted.map { .text($0) } ?? .nothing,
            observed: namespace.location.map { .text($0.text) } ?? .nothing)
        if isDeletionRequested || recreate {
            return .act([.delete], differences: [difference], index: link.index)
        }
        return .blocked(.immutable([.networkNamespace]), differences: [difference], steps: [])
    }

    /// The interface of the claim, by its index, so that a renamed one is found too; `nil` if there is none.
    public func ownLink(in namespace: ObservedNamespace) -> ObservedLink? {
        guard let claim, !claim.isLost, claim.host == namespace.host, let link = namespace[claim.index], link.tun != nil
        else {
            return nil
        }
        return link
    }

    private func decideOnMissing(in namespace: ObservedNamespace, contested: Set<DeviceField>) -> Decision {
        let missing = Difference(.device, wanted: .text("present"), observed: .nothing)
        if let existing = namespace[name.text] {
            if let owner = namespace.owners[existing.index] {
                return .blocked(.nameTaken(by: owner), differences: [missing], steps: [])
            }
            let mismatches = mismatches(existing)
            guard spec.adoption == .compatible, mismatches.isEmpty, existing.name == name.text else {
                let reported = spec.adoption == .compatible ? mismatches : []
                return .blocked(
                    .foreignDevice(
                        kind: existing.tun?.kind.rawValue ?? existing.kind, index: existing.index,
                        mismatches: reported),
                    differences: [missing], steps: [])
            }
            // What other processes have set through the interface's descriptors is unknown.
            let unknown = DescriptorSettings(vnetHeaderSize: nil, offloads: nil)
            return .act([.claim(unknown)], differences: [missing], index: existing.index)
        }
        let steps = stepsToCreate(in: namespace)
        // After a reboot, or in a recreated namespace, a missing device is not drift.
        if replaced == nil, claim?.host == namespace.host {
            if spec.driftPolicy == .report, isReached || reached != nil && !recreate {
                return .blocked(.reportOnly([.device]), differences: [missing], steps: steps)
            }
            if isReached, contested.contains(.device) {
                return .blocked(.contested([.device]), differences: [missing], steps: steps)
            }
        }
        return .act(steps, differences: [missing], index: nil)
    }

    /// Drift that the drift policy leaves as it is. Before the spec is reached, that is what differed in the same way
    /// from the one that was reached before: a change of other fields does not repair it.
    private func reportedDrift(
        among differences: [Difference], of link: ObservedLink, in namespace: ObservedNamespace
    ) -> [Difference] {
        guard spec.driftPolicy == .report, isReached || reached != nil else { return [] }
        let drift = differences.filter { spec.isExternalDrift($0) && !spec.isRepairedAlways($0.field) }
        guard !isReached, let reached, !drift.isEmpty else { return drift }
        let earlier = Set(reached.differences(from: link, in: namespace))
        return drift.filter(earlier.contains)
    }

    /// The fields that prevent the adoption of an existing interface.
    private func mismatches(_ link: ObservedLink) -> [DeviceField] {
        guard let tun = link.tun else { return [.kind] }
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
        withhold(reportedDrift(among: open, of: link, in: namespace)) { .reportOnly($0) }
        open.removeAll { withheld.contains($0) }
        if let attached = link.tun?.attachedQueues, attached > 0 {
            withhold(open.filter { $0.field.isSetByConsumers }) { .inUse($0) }
            open.removeAll { withheld.contains($0) }
        }
        // Before the spec has been reached, changes are not repairs.
        if isReached {
            withhold(open.filter { contested.contains($0.field) && !spec.isRepairedAlways($0.field) }) {
                .contested($0)
            }
            open.removeAll { withheld.contains($0) }
        }
        if open.contains(where: { $0.field == .controller }),
            let refusal = link.heldBy(in: namespace) ?? spec.controllerObstacle(in: namespace)
        {
            withhold(open.filter { $0.field == .controller }) { _ in refusal }
            open.removeAll { withheld.contains($0) }
        }
        if open.isEmpty, let obstacle {
            let steps = stepsToRepair(withheld, of: link, in: namespace)
            return .blocked(obstacle, differences: withheld, steps: steps)
        }
        return .act(stepsToRepair(open, of: link, in: namespace), differences: open, index: link.index)
    }
}

extension ObservedLink {
    /// Controllers of this kind do not release a port by rtnetlink: they have no `ndo_del_slave()`
    /// (`net/openvswitch/vport-internal_dev.c`), and the kernel answers EOPNOTSUPP.
    private static let holdingKind = "openvswitch"

    /// The controller that does not let the interface leave; `nil` if there is none.
    public func heldBy(in namespace: ObservedNamespace) -> Obstacle? {
        guard let controller = controller.flatMap({ namespace[$0] }), controller.kind == Self.holdingKind else {
            return nil
        }
        return .controllerHeld(controller.name, kind: controller.kind)
    }
}

extension DeviceSpec {
    /// Why the device cannot join its controller; `nil` if it can, or if it has none.
    public func controllerObstacle(in namespace: ObservedNamespace) -> Obstacle? {
        guard let name = draft.link.controller else { return nil }
        guard let controller = namespace[name.text] else { return .controllerMissing(name) }
        switch controller.kind {
        case ObservedLink.bridgeKind where draft.kind == .tap:
            return namespace.ports(of: controller.index) >= Obstacle.bridgePortsMax ? .controllerFull(name) : nil
        case ObservedLink.vrfKind: return nil
        default: return .controllerUnsuitable(name, kind: controller.kind)
        }
    }

    /// Whether the field is repaired whatever the drift policy says, and however often: as its owner, a former consumer
    /// of a brokered device could read the packets of the next.
    public func isRepairedAlways(_ field: DeviceField) -> Bool { draft.access == .brokered && field.decidesAccess }

    /// Whether another process has caused the difference, if the spec had been reached.
    ///
    /// False for a carrier that follows the consumers, an MTU that follows the bridge, what consumers negotiate,
    /// anchors, which are closed with the daemon, and values that the kernel does not report.
    public func isExternalDrift(_ difference: Difference) -> Bool {
        switch difference.field {
        case .anchor, .offloads, .vnetHeaderSize: false
        case .carrier: draft.link.carrier != .automatic
        case .mtu: draft.link.mtuPolicy == .stated
        default: difference.observed != .unsupported
        }
    }
}

extension Difference {
    /// Whether the kernel fixes the field at creation. An owner and a group can be changed but not cleared.
    fileprivate var isFixed: Bool {
        switch field {
        case .kind, .multiQueue: true
        case .owner, .group: wanted == .nothing
        default: false
        }
    }

    /// Whether the field is fixed, or can be set again only while no process has the device open.
    fileprivate var isSetAtCreation: Bool {
        switch field {
        case .packetInfo, .vnetHeader: true
        default: isFixed
        }
    }
}
