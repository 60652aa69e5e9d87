import TapCore
import TestSupport
import Testing

/// Every reason for which Tapster does not change a device.
@Suite struct ObstacleTests {
    private static let host = NamespaceIdentity(boot: "boot", namespace: 1)
    private static let index = LinkIndex(rawValue: 7)

    private static func wanted(
        isReached: Bool = true, recreate: Bool = false, _ change: (inout DeviceSpecDraft) throws -> Void = { _ in }
    ) throws -> WantedDevice {
        var draft = DeviceSpecDraft()
        try change(&draft)
        let spec = try DeviceSpec(draft)
        return WantedDevice(
            name: try DeviceName("web0"), identifier: DeviceIdentifier(high: 1, low: 2), spec: spec, owner: 0,
            claim: Claim(host: host, index: index, settings: DescriptorSettings(spec)), isReached: isReached,
            recreate: recreate)
    }

    /// An interface that matches `wanted`, except for a change.
    private static func link(_ wanted: WantedDevice, _ change: (inout ObservedLink) -> Void = { _ in }) -> ObservedLink
    {
        var link = ObservedLink(index: index, name: "web0")
        link.kind = "tun"
        link.up = true
        link.mtu = wanted.spec.link.mtu.value
        link.macAddress = wanted.macAddress
        link.transmitQueueLength = 1_000
        link.queueDiscipline = "noqueue"
        var tun = ObservedTun(kind: wanted.spec.kind)
        tun.multiQueue = true
        tun.vnetHeader = true
        tun.persistent = true
        tun.owner = 0
        tun.attachedQueues = 0
        tun.detachedQueues = 0
        link.tun = tun
        change(&link)
        return link
    }

    private static func other(_ name: String, kind: String?) -> ObservedLink {
        var link = ObservedLink(index: LinkIndex(rawValue: 2), name: name)
        link.kind = kind
        return link
    }

    private static func decide(
        _ wanted: WantedDevice, _ links: [ObservedLink], contested: Set<DeviceField> = []
    ) -> Decision {
        wanted.decide(in: ObservedNamespace(host: host, links: links), contested: contested)
    }

    private static func obstacle(_ decision: Decision) -> Obstacle? {
        if case .blocked(let obstacle, _, _) = decision { obstacle } else { nil }
    }

    /// A port of Open vSwitch's kernel datapath has the master `ovs-system`, which cannot be left by rtnetlink.
    @Test func aPortOfOpenVSwitchIsHeld() throws {
        for controller in [nil, "br0"] {
            let wanted = try Self.wanted { draft in
                draft.link.controller = try controller.map { (text) throws(ValidationError) in
                    try InterfaceName(text)
                }
            }
            let held = Self.link(wanted) { $0.controller = LinkIndex(rawValue: 2) }
            let switched = Self.other("ovs-system", kind: "openvswitch")
            #expect(
                Self.obstacle(Self.decide(wanted, [held, switched]))
                    == .controllerHeld("ovs-system", kind: "openvswitch"))
            // Other fields are repaired meanwhile.
            let drifted = Self.link(wanted) { link in
                link.controller = LinkIndex(rawValue: 2)
                link.mtu = 1_400
            }
            #expect(
                Self.decide(wanted, [drifted, switched])
                    == .act(
                        [.setLink([.mtu(.ethernet)])],
                        differences: [Difference(.mtu, wanted: .integer(1_500), observed: .integer(1_400))],
                        index: Self.index))
        }
        let unmanaged = try Self.wanted { $0.link.controllerPolicy = .unmanaged }
        let held = Self.link(unmanaged) { $0.controller = LinkIndex(rawValue: 2) }
        for kind in ["openvswitch", "bond", "team", "bridge", "vrf"] {
            #expect(Self.obstacle(Self.decide(unmanaged, [held, Self.other("any", kind: kind)])) == nil)
        }
    }

    @Test func withoutAnObstacleItIsSettled() throws {
        let wanted = try Self.wanted()
        #expect(Self.decide(wanted, [Self.link(wanted)]) == .settled(Self.link(wanted)))
    }

    @Test(
        arguments: [
            ("bridge", .tap, true), ("vrf", .tap, true), ("vrf", .tun, true), ("bridge", .tun, false),
            ("bond", .tap, false), ("tun", .tap, false), ("dummy", .tun, false), (nil, .tap, false),
        ] as [(String?, DeviceKind, Bool)])
    func controllersMustSuit(kind: String?, device: DeviceKind, isSuitable: Bool) throws {
        let name = try InterfaceName("br0")
        let wanted = try Self.wanted {
            $0.kind = device
            $0.link.controller = name
        }
        let decision = Self.decide(wanted, [Self.link(wanted), Self.other("br0", kind: kind)])
        if isSuitable {
            guard case .act(let steps, _, _) = decision else { throw TestFailure("\(decision)") }
            #expect(steps == [.setLink([.controller(.join(name, LinkIndex(rawValue: 2)))])])
        } else {
            #expect(Self.obstacle(decision) == .controllerUnsuitable(name, kind: kind))
        }
    }

    @Test func aControllerMayBeMissing() throws {
        let wanted = try Self.wanted {
            $0.link.controller = try InterfaceName("br0")
            $0.link.mtu = try MTU(9_000)
        }
        let obstacle = Obstacle.controllerMissing(try InterfaceName("br0"))
        #expect(Self.obstacle(Self.decide(wanted, [Self.link(wanted)])) == obstacle)
        // Other fields are set first, and the link does not leave another bridge for a missing one.
        let elsewhere = Self.link(wanted) {
            $0.mtu = 1_400
            $0.controller = LinkIndex(rawValue: 2)
        }
        let decision = Self.decide(wanted, [elsewhere, Self.other("br1", kind: "bridge")])
        guard case .act(let steps, let differences, _) = decision else { throw TestFailure("\(decision)") }
        #expect(steps == [.setLink([.mtu(try MTU(9_000))])])
        #expect(differences.map(\.field) == [.mtu])
    }

    @Test func aBridgeMayBeFull() throws {
        let name = try InterfaceName("br0")
        let wanted = try Self.wanted { $0.link.controller = name }
        var ports = (0..<Int32(Obstacle.bridgePortsMax)).map { number in
            var port = ObservedLink(index: LinkIndex(rawValue: 100 + number), name: "p\(number)")
            port.controller = LinkIndex(rawValue: 2)
            return port
        }
        let others = [Self.link(wanted), Self.other("br0", kind: "bridge")]
        #expect(Self.obstacle(Self.decide(wanted, others + ports)) == .controllerFull(name))
        ports.removeLast()
        var namespace = ObservedNamespace(host: Self.host, links: others + ports)
        guard case .act = wanted.decide(in: namespace) else { throw TestFailure("one place is free") }
        namespace.reservePort(of: LinkIndex(rawValue: 2))
        #expect(Self.obstacle(wanted.decide(in: namespace)) == .controllerFull(name))
        // A VRF has no such limit.
        ports.append(ports[0])
        guard case .act = Self.decide(wanted, [Self.link(wanted), Self.other("br0", kind: "vrf")] + ports) else {
            throw TestFailure("a VRF is never full")
        }
    }

    @Test func anAttachedConsumersSettingsStay() throws {
        let wanted = try Self.wanted(isReached: false) { $0.vnetHeaderSize = .mergeable }
        let link = Self.link(wanted) {
            $0.tun?.vnetHeaderSize = 10
            $0.tun?.attachedQueues = 1
            $0.carrier = true
        }
        #expect(Self.obstacle(Self.decide(wanted, [link])) == .inUse([.vnetHeaderSize]))
        // Once the spec has been reached, they are what the consumer has negotiated.
        let reached = try Self.wanted { $0.vnetHeaderSize = .mergeable }
        #expect(Self.decide(reached, [link]) == .settled(link))
        var gone = link
        gone.tun?.attachedQueues = 0
        guard case .act(let steps, _, _) = Self.decide(wanted, [gone]) else { throw TestFailure("not repaired") }
        #expect(steps.contains(.setVnetHeaderSize(.mergeable)))
    }

    /// A consumer may detach its last queue and attach it again before the worker observes it.
    @Test func anAttachedConsumersOffloadsAreItsOwn() throws {
        let wanted = try Self.wanted { $0.access = .open }
        var namespace = ObservedNamespace(
            host: Self.host,
            links: [
                Self.link(wanted) {
                    $0.tun?.attachedQueues = 1
                    $0.carrier = true
                }
            ])
        (namespace.unverified, namespace.anchored) = ([Self.index], [Self.index])
        guard case .settled = wanted.decide(in: namespace) else { throw TestFailure("not settled") }
        namespace = ObservedNamespace(host: Self.host, links: [Self.link(wanted)])
        (namespace.unverified, namespace.anchored) = ([Self.index], [Self.index])
        guard case .act(let steps, _, _) = wanted.decide(in: namespace) else { throw TestFailure("not set again") }
        #expect(steps.contains(.setOffloads([.checksum, .tso4, .tso6])))
    }

    @Test func driftMayOnlyBeReported() throws {
        let wanted = try Self.wanted { $0.driftPolicy = .report }
        let drifted = Self.link(wanted) { $0.mtu = 1_400 }
        let decision = Self.decide(wanted, [drifted])
        #expect(Self.obstacle(decision) == .reportOnly([.mtu]))
        // The steps of the repair are reported.
        if case .blocked(_, _, let steps) = decision { #expect(steps.map(\.name) == ["set_link"]) }
        #expect(Self.obstacle(Self.decide(wanted, [])) == .reportOnly([.device]))
        // A spec that has not been reached yet has no drift, and neither has an unknown value.
        let fresh = try Self.wanted(isReached: false) { $0.driftPolicy = .report }
        guard case .act = Self.decide(fresh, [drifted]) else { throw TestFailure("a new spec is not applied") }
        let open = try Self.wanted {
            $0.driftPolicy = .report
            $0.access = .open
        }
        var namespace = ObservedNamespace(host: Self.host, links: [Self.link(open)])
        (namespace.unverified, namespace.anchored) = ([Self.index], [Self.index])
        guard case .act(let steps, _, _) = open.decide(in: namespace) else { throw TestFailure("not set again") }
        #expect(steps.contains(.setOffloads([.checksum, .tso4, .tso6])))
    }

    @Test func aFieldMayBeContested() throws {
        let wanted = try Self.wanted()
        let drifted = Self.link(wanted) {
            $0.mtu = 1_400
            $0.transmitQueueLength = 7
        }
        // The other field is repaired first.
        guard case .act(_, let differences, _) = Self.decide(wanted, [drifted], contested: [.mtu]) else {
            throw TestFailure("nothing is done")
        }
        #expect(differences.map(\.field) == [.transmitQueueLength])
        let left = Self.link(wanted) { $0.mtu = 1_400 }
        #expect(Self.obstacle(Self.decide(wanted, [left], contested: [.mtu])) == .contested([.mtu]))
        #expect(Self.obstacle(Self.decide(wanted, [], contested: [.device])) == .contested([.device]))
        // Before the spec has been reached, changes are not repairs.
        guard case .act = Self.decide(try Self.wanted(isReached: false), [left], contested: [.mtu]) else {
            throw TestFailure("a new spec is not applied")
        }
    }

    @Test func someFieldsAreImmutable() throws {
        let wanted = try Self.wanted()
        let other = Self.link(wanted) {
            $0.tun?.multiQueue = false
            $0.mtu = 1_400
        }
        #expect(Self.obstacle(Self.decide(wanted, [other])) == .immutable([.multiQueue]))
        let leave = try Self.wanted(isReached: false, recreate: true)
        guard case .act(let steps, _, _) = Self.decide(leave, [other]) else { throw TestFailure("not recreated") }
        #expect(steps == [.delete])
        // `recreate` applies only to immutable fields.
        guard case .act(let repair, _, _) = Self.decide(leave, [Self.link(wanted) { $0.mtu = 1_400 }]) else {
            throw TestFailure("not repaired")
        }
        #expect(!repair.contains(.delete))
    }

    @Test func aForeignDeviceMayHaveTheName() throws {
        let wanted = try Self.wanted { $0.adoption = .compatible }
        let foreign = Self.link(wanted) {
            $0.index = LinkIndex(rawValue: 9)
            $0.tun?.packetInfo = true
            $0.tun?.owner = nil
        }
        #expect(
            Self.obstacle(Self.decide(wanted, [foreign]))
                == .foreignDevice(kind: "tap", index: foreign.index, mismatches: [.packetInfo]))
        var fitting = foreign
        fitting.tun?.packetInfo = false
        let decision = Self.decide(wanted, [fitting])
        guard case .act(let steps, _, let index) = decision else { throw TestFailure("\(decision)") }
        #expect(steps.map(\.name) == ["claim"])
        #expect(index == fitting.index)
        #expect(
            Self.obstacle(Self.decide(wanted, [Self.other("web0", kind: "bridge")]))
                == .foreignDevice(kind: "bridge", index: LinkIndex(rawValue: 2), mismatches: [.kind]))
    }
}
