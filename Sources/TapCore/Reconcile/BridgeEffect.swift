/// What a device's joining or leaving a bridge changes for the others that use the bridge.
///
/// A bridge takes the lowest MTU of its ports (`br_mtu_auto_adjust()` in `net/bridge/br_if.c`) and the lowest MAC
/// address (`br_stp_recalculate_bridge_id()`), unless its own were set by hand. The kernel does not report which were;
/// those that are not the lowest must have been.
public struct BridgeEffect: Hashable, Sendable, CustomStringConvertible {
    /// What changes of the bridge.
    public enum Property: Hashable, Sendable {
        /// In bytes.
        case mtu(from: Int, to: Int)
        case macAddress(from: MACAddress, to: MACAddress)
    }

    /// The bridge.
    public let bridge: LinkIndex
    /// The bridge's name.
    public let name: String
    /// What changes.
    public let property: Property

    /// For people.
    public var description: String {
        switch property {
        case .mtu(let old, let new): "the MTU of \(name) \(new < old ? "falls" : "rises") from \(old) to \(new)"
        case .macAddress(let old, let new): "the MAC address of \(name) changes from \(old) to \(new)"
        }
    }

    /// Whether the bridge has changed like that.
    public func hasHappened(in namespace: ObservedNamespace) -> Bool {
        switch property {
        case .mtu(_, let new): namespace[bridge]?.mtu == new
        case .macAddress(_, let new): namespace[bridge]?.macAddress == new
        }
    }
}

extension Sequence<Step> {
    /// What the steps change for the bridges that the interface joins and leaves.
    ///
    /// - Parameters:
    ///   - link: The interface before the steps; `nil` if they make it.
    ///   - namespace: The namespace of the interface.
    /// - Returns: Empty if nothing changes for others.
    public func bridgeEffects(on link: ObservedLink?, in namespace: ObservedNamespace) -> [BridgeEffect] {
        var effects: [BridgeEffect] = []
        for step in self {
            switch step {
            case .delete: effects += link.map { $0.effectsOfLeaving(in: namespace) } ?? []
            case .setLink(let change):
                guard let controller = change.controller else { continue }
                effects += link.map { $0.effectsOfLeaving(in: namespace) } ?? []
                guard case .join(_, let bridge) = controller else { continue }
                var port = link ?? ObservedLink(index: LinkIndex(rawValue: 0), name: "")
                if link == nil { port.mtu = MTU.ethernet.value }
                for attribute in change {
                    if case .mtu(let mtu) = attribute { port.mtu = mtu.value }
                    if case .macAddress(let address) = attribute { port.macAddress = address }
                }
                effects += port.effectsOfJoining(bridge, in: namespace)
            default: continue
            }
        }
        return effects
    }
}

extension ObservedLink {
    /// What the interface, as a port of a bridge, decides for the others; empty if it does not.
    public func effectsOnBridge(in namespace: ObservedNamespace) -> [String] {
        effectsOfLeaving(in: namespace).map { effect in
            switch effect.property {
            case .mtu(let mtu, let other): "it holds the MTU of \(effect.name) at \(mtu), which would be \(other)"
            case .macAddress: "\(effect.name) has its MAC address, and changes it when the device leaves"
            }
        }
    }

    fileprivate func effectsOfJoining(_ index: LinkIndex, in namespace: ObservedNamespace) -> [BridgeEffect] {
        guard let bridge = namespace[index], bridge.kind == Self.bridgeKind else { return [] }
        let lowersMTU = mtu < bridge.mtu
        let lowersAddress = if let own = macAddress, let other = bridge.macAddress { own < other } else { false }
        guard lowersMTU || lowersAddress else { return [] }
        let others = namespace.others(in: index, than: self.index)
        var effects: [BridgeEffect] = []
        if lowersMTU, others.lowestMTU == bridge.mtu {
            effects.append(BridgeEffect(bridge, .mtu(from: bridge.mtu, to: mtu)))
        }
        if lowersAddress, let own = macAddress, let other = bridge.macAddress, others.lowestAddress == other {
            effects.append(BridgeEffect(bridge, .macAddress(from: other, to: own)))
        }
        return effects
    }

    fileprivate func effectsOfLeaving(in namespace: ObservedNamespace) -> [BridgeEffect] {
        guard let index = controller, let bridge = namespace[index], bridge.kind == Self.bridgeKind else { return [] }
        let hasMTU = mtu == bridge.mtu && !namespace.hasPort(in: index, otherThan: self.index, ofMTUUpTo: mtu)
        let hasAddress = macAddress != nil && macAddress == bridge.macAddress
        guard hasMTU || hasAddress else { return [] }
        let others = namespace.others(in: index, than: self.index)
        var effects: [BridgeEffect] = []
        if hasMTU, let other = others.lowestMTU, other > mtu {
            effects.append(BridgeEffect(bridge, .mtu(from: mtu, to: other)))
        }
        if hasAddress, let own = macAddress, let other = others.lowestAddress, other != own {
            effects.append(BridgeEffect(bridge, .macAddress(from: own, to: other)))
        }
        return effects
    }
}

extension BridgeEffect {
    fileprivate init(_ bridge: ObservedLink, _ property: Property) {
        self.init(bridge: bridge.index, name: bridge.name, property: property)
    }
}

extension ObservedNamespace {
    /// Ends at the first port found, since usually all have the same MTU.
    fileprivate func hasPort(in bridge: LinkIndex, otherThan index: LinkIndex, ofMTUUpTo mtu: Int) -> Bool {
        links.contains { $0.controller == bridge && $0.index != index && $0.mtu <= mtu }
    }

    /// The lowest values of a bridge's other ports; `nil` if it has none.
    fileprivate func others(
        in bridge: LinkIndex, than index: LinkIndex
    ) -> (lowestMTU: Int?, lowestAddress: MACAddress?) {
        let ports = links.filter { $0.controller == bridge && $0.index != index }
        return (ports.map(\.mtu).min(), ports.compactMap(\.macAddress).min())
    }
}
