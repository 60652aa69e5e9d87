/// A field in which the kernel differs from what is wanted; both values in the words of the API.
public struct Difference: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case nothing
        case bool(Bool)
        case integer(Int)
        case text(String)
        case words([String])

        fileprivate init(_ number: UInt32?) { self = number.map { .integer(Int($0)) } ?? .nothing }
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
    ///   - isAnchored: Whether we hold a detached descriptor of it.
    /// - Returns: Nothing when the kernel is as wanted.
    public func differences(from link: ObservedLink, isAnchored: Bool) -> [Difference] {
        guard let tun = link.tun else { return [Difference(.device, wanted: .text("present"), observed: .nothing)] }
        var found: [Difference] = []
        func compare(_ field: DeviceField, _ wanted: Difference.Value, _ observed: Difference.Value) {
            if wanted != observed { found.append(Difference(field, wanted: wanted, observed: observed)) }
        }
        compare(.name, .text(name.text), .text(link.name))
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
        compareSettings(compare)
        compareLink(link, compare)
        compare(.anchor, .bool(wantsAnchor), .bool(isAnchored))
        if wantsAnchor, isAnchored, let attached = tun.attachedQueues {
            // A carrier without an attached queue is a black hole.
            compare(.carrier, .bool(attached > 0), .bool(link.carrier))
        }
        return found
    }

    private typealias Compare = (DeviceField, Difference.Value, Difference.Value) -> Void

    private func compareSettings(_ compare: Compare) {
        let wanted = DescriptorSettings(spec)
        let settings = claim?.settings
        if let size = wanted.vnetHeaderSize {
            compare(
                .vnetHeaderSize, .integer(size.value), settings?.vnetHeaderSize.map { .integer($0.value) } ?? .nothing)
        }
        compare(.offloads, .words(wanted.offloads.names), settings.map { .words($0.offloads.names) } ?? .nothing)
    }

    private func compareLink(_ link: ObservedLink, _ compare: Compare) {
        compare(.mtu, .integer(spec.link.mtu.value), .integer(link.mtu))
        if let macAddress {
            compare(.macAddress, .text(macAddress.description), link.macAddress.map { .text("\($0)") } ?? .nothing)
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
    }
}
