import TapCore
import TestSupport
import Testing

/// Plans executed on the in-memory kernel.
@Suite struct DecisionTests {
    /// Works like the worker: decides, executes the steps, observes again.
    private struct World {
        var kernel = ModelKernel().own
        var wanted: WantedDevice

        func decide() throws -> Decision { wanted.decide(in: kernel.observed) }

        func obstacle() throws -> Obstacle? {
            if case .blocked(let obstacle, _, _) = try decide() { obstacle } else { nil }
        }

        /// - Returns: The steps of each round until nothing is left to do.
        mutating func settle() throws -> [[Step]] {
            var rounds: [[Step]] = []
            while case .act(let steps, _, let index) = try decide(), steps != [.forget] {
                rounds.append(steps)
                try #require(rounds.count <= 3, "the plans do not converge: \(rounds)")
                if steps == [.delete] {
                    #expect(kernel.delete([try #require(index)]).isEmpty)
                    continue
                }
                var index = index
                for step in steps {
                    if case .claim(let settings) = step, let index {
                        wanted = wanted.claiming(Claim(host: kernel.host, index: index, settings: settings))
                        continue
                    }
                    var runs = [StepRun([step], on: wanted.name, at: index)]
                    kernel.perform(&runs) { _ in }
                    if let failure = runs[0].failure { throw failure }
                    index = runs[0].index
                }
            }
            return rounds
        }
    }

    private func world(_ draft: DeviceSpecDraft = DeviceSpecDraft(), owner: UInt32? = 0) throws -> World {
        World(
            wanted: WantedDevice(
                name: try DeviceName("web0"), identifier: DeviceIdentifier(high: 1, low: 2),
                spec: try DeviceSpec(draft),
                owner: owner))
    }

    @Test func aMissingDeviceIsClaimedBeforeItPersists() throws {
        var world = try world()
        let steps = try #require(try world.settle().first)
        let claim = try #require(steps.firstIndex { $0.name == "claim" })
        let persist = try #require(steps.firstIndex(of: .persist))
        #expect(steps.first?.name == "create")
        #expect(claim < persist)
    }

    @Test func theQueueDisciplineComesBeforeTheFirstIfup() throws {
        var world = try world()
        let steps = try #require(try world.settle().first)
        let discipline = try #require(steps.firstIndex(of: .setQueueDiscipline(.noqueue)))
        let up = try #require(
            steps.firstIndex { if case .setLink(let change) = $0 { change.contains(.up(true)) } else { false } })
        #expect(discipline < up)
    }

    @Test func aSecondPassPlansNothing() throws {
        var world = try world()
        _ = try world.settle()
        guard case .settled(let link) = try world.decide() else { throw TestFailure("not settled") }
        #expect(link.name == "web0")
        #expect(link.tun?.persistent == true)
    }

    @Test func unsupportedFieldsAreReportedAndTheOthersSet() throws {
        var draft = DeviceSpecDraft()
        draft.link.gsoMaxBytes = try GSOMaxBytes(40_000)
        draft.link.gsoIPv4MaxBytes = try GSOMaxBytes(30_000)
        var world = try world(draft)
        world.kernel = ModelKernel(attributes: [.gsoMaxBytes(.standard)]).own
        _ = try world.settle()
        #expect(try world.obstacle() == .unsupported([.gsoIPv4MaxBytes]))
        #expect(world.kernel.table.first?.attributes == [.gsoMaxBytes(try GSOMaxBytes(40_000))])
        // It is not drift, since no other process has caused it.
        guard case .blocked(_, let differences, _) = try world.decide() else { throw TestFailure("not blocked") }
        #expect(!differences.contains(where: world.wanted.spec.isExternalDrift))
        draft.link.gsoIPv4MaxBytes = nil
        world.wanted = world.wanted.wanting(try DeviceSpec(draft))
        #expect(try world.settle() == [])
        #expect(try world.obstacle() == nil)
    }

    /// The kernel sets the size for IPv4 along with the general one, so a repair of the latter sets both.
    @Test func aRepairOfOneGSOSizeKeepsTheOther() throws {
        var draft = DeviceSpecDraft()
        draft.link.gsoMaxBytes = try GSOMaxBytes(40_000)
        draft.link.gsoIPv4MaxBytes = try GSOMaxBytes(30_000)
        var world = try world(draft)
        _ = try world.settle()
        world.kernel.change("web0") { $0?.set(.gsoMaxBytes(.standard)) }
        let both: LinkChange = try [.gsoMaxBytes(GSOMaxBytes(40_000)), .gsoIPv4MaxBytes(GSOMaxBytes(30_000))]
        #expect(try world.settle() == [[.setLink(both)]])
        // If the spec has no sizes, every value is accepted.
        world.wanted = world.wanted.wanting(try DeviceSpec(DeviceSpecDraft()))
        #expect(try world.settle() == [])
    }

    @Test func aForeignDeviceIsLeftAlone() throws {
        let world = try world()
        var foreign = ObservedLink(index: LinkIndex(rawValue: 7), name: "web0")
        foreign.kind = "tun"
        foreign.tun = ObservedTun(kind: .tap)
        world.kernel.change("web0") { $0 = foreign }
        #expect(try world.obstacle() == .foreignDevice(kind: "tap", index: LinkIndex(rawValue: 7), mismatches: []))
    }

    @Test func anAlternativeNameIsAConflictToo() throws {
        let world = try world()
        var foreign = ObservedLink(index: LinkIndex(rawValue: 7), name: "eth0")
        foreign.altNames = ["web0"]
        world.kernel.change("eth0") { $0 = foreign }
        #expect(try world.obstacle() == .foreignDevice(kind: nil, index: LinkIndex(rawValue: 7), mismatches: []))
    }

    @Test func aClaimOfAnotherBootProvesNothing() throws {
        var world = try world()
        _ = try world.settle()
        let claim = try #require(world.wanted.claim)
        world.wanted = world.wanted.claiming(
            Claim(host: NamespaceIdentity(boot: "earlier", namespace: 1), index: claim.index, settings: claim.settings))
        #expect(try world.obstacle() == .foreignDevice(kind: "tap", index: claim.index, mismatches: []))
    }

    @Test func aRenamedDeviceGetsItsNameBack() throws {
        var world = try world()
        _ = try world.settle()
        let index = world.wanted.claim?.index
        world.kernel.change("web0") { $0?.name = "stolen" }
        _ = try world.settle()
        #expect(world.kernel.table.map(\.name) == ["web0"])
        #expect(world.kernel.table.first?.index == index)
    }

    @Test func aNameTakenAfterARenameIsAConflict() throws {
        var world = try world()
        _ = try world.settle()
        world.kernel.change("web0") { $0?.name = "stolen" }
        let index = world.kernel.freshIndex()
        world.kernel.change("web0") { $0 = ObservedLink(index: index, name: "web0") }
        #expect(try world.obstacle() == .foreignDevice(kind: nil, index: index, mismatches: []))
    }

    @Test func aGroupThatCannotBeClearedIsReported() throws {
        var draft = DeviceSpecDraft()
        draft.access = .open
        var world = try world(draft, owner: nil)
        _ = try world.settle()
        world.kernel.change("web0") { $0?.tun?.group = 12 }
        #expect(try world.obstacle() == .immutable([.group]))
    }

    @Test func aDeviceIsForgottenOnlyAfterItsDeletion() throws {
        var world = try world()
        _ = try world.settle()
        world.wanted = world.wanted.deleting()
        let index = try #require(world.wanted.claim?.index)
        #expect(try world.decide() == .act([.delete], differences: [], index: index))
        _ = try world.settle()
        #expect(try world.decide() == .act([.forget], differences: [], index: nil))
        #expect(world.kernel.table.isEmpty)
    }

    @Test func anOpenMultiqueueDeviceIsAnchoredWithoutACarrier() throws {
        var draft = DeviceSpecDraft()
        draft.access = .open
        var world = try world(draft, owner: nil)
        _ = try world.settle()
        let link = try #require(world.kernel.table.first)
        #expect(world.kernel.anchored == [link.index])
        #expect(!link.carrier)
    }

    @Test func theCarrierFollowsTheConsumers() throws {
        var draft = DeviceSpecDraft()
        draft.access = .open
        var world = try world(draft, owner: nil)
        _ = try world.settle()
        world.kernel.change("web0") {
            $0?.tun?.attachedQueues = 1
            $0?.carrier = true
        }
        #expect(try world.settle() == [])
        world.kernel.change("web0") { $0?.tun?.attachedQueues = 0 }
        #expect(try world.settle() == [[.setCarrier(false)]])
    }

    @Test func aSingleQueueDeviceHasNoAnchor() throws {
        var draft = DeviceSpecDraft()
        draft.access = .open
        draft.queues = .single
        var world = try world(draft, owner: nil)
        _ = try world.settle()
        #expect(world.kernel.anchored.isEmpty)
    }

    /// For random specs and random changes by other processes, the plans converge to the wanted state.
    @Test func everyPlanConverges() throws {
        for seed in 0..<1_000 as Range<UInt64> {
            do {
                try everyPlanConverges(seed: seed)
            } catch {
                throw TestFailure("seed \(seed): \(error)")
            }
        }
    }

    private func everyPlanConverges(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let draft = DeviceSpecDraft.random(using: &random)
        var world = try world(draft, owner: draft.access == .brokered ? 0 : nil)
        for name in ["br0", "br1"] {
            var bridge = ObservedLink(index: world.kernel.freshIndex(), name: name)
            bridge.kind = "bridge"
            world.kernel.change(name) { [bridge] in $0 = bridge }
        }
        _ = try world.settle()
        for _ in 0..<4 {
            let elsewhere = world.kernel.table.first { $0.name == "br1" }?.index
            world.kernel.change("web0") { $0?.disturb(using: &random, bridge: elsewhere) }
            world.kernel.changeAddresses("web0") { $0.disturb(using: &random) }
            if let spec = try? DeviceSpec(.random(using: &random)),
                spec.immutableFieldsDiffering(from: world.wanted.spec).isEmpty, spec.access == world.wanted.spec.access
            {
                world.wanted = world.wanted.wanting(spec)
            }
            _ = try world.settle()
            guard case .settled(let link) = try world.decide() else { throw TestFailure("not settled") }
            #expect(link.mtu == world.wanted.spec.link.mtu.value)
            #expect(link.up == world.wanted.spec.link.up)
            #expect(world.kernel.settings(of: link.index)?.offloads == world.wanted.spec.offloads)
            #expect(world.kernel.anchored.contains(link.index) == world.wanted.wantsAnchor)
            let wanted = world.wanted.spec.link
            #expect(link.alias == wanted.alias?.text)
            #expect(link.altNames.sorted() == wanted.altNames.map(\.text))
            if let size = wanted.gsoMaxBytes { #expect(link.attributes.contains(.gsoMaxBytes(size))) }
            if let size = wanted.gsoIPv4MaxBytes { #expect(link.attributes.contains(.gsoIPv4MaxBytes(size))) }
            let controller = link.controller.flatMap { world.kernel.observed[$0]?.name }
            #expect(controller == wanted.controller?.text)
            if wanted.carrier != .automatic { #expect(link.carrier == (wanted.carrier == .on)) }
            let addresses = world.kernel.observed.addresses[link.index] ?? []
            #expect(wanted.addresses.allSatisfy { wanted in addresses.contains { $0.address == wanted } })
            #expect(addresses.filter { $0.origin == .tapster }.allSatisfy { wanted.addresses.contains($0.address) })
        }
    }

    /// Tapster never removes addresses that it has not added.
    @Test func addressesOfOthersStay() throws {
        var draft = DeviceSpecDraft()
        draft.link.addresses = [try InterfaceAddress("192.0.2.1/24")]
        var world = try world(draft)
        _ = try world.settle()
        let foreign = ObservedAddress(try InterfaceAddress("192.0.2.9/24"), origin: .other)
        world.kernel.changeAddresses("web0") { $0.append(foreign) }
        #expect(try world.settle() == [])
        draft.link.addresses = []
        world.wanted = world.wanted.wanting(try DeviceSpec(draft))
        let steps = try #require(try world.settle().first)
        // Otherwise the kernel would remove it with the first address of its network.
        #expect(steps == [.setLink([.promoteSecondaries]), .removeAddress(try InterfaceAddress("192.0.2.1/24"))])
        let index = try #require(world.wanted.claim?.index)
        #expect(world.kernel.observed.addresses[index] == [foreign])
    }
}

extension WantedDevice {
    fileprivate func claiming(_ claim: Claim) -> WantedDevice { copy(claim: claim) }
    fileprivate func deleting() -> WantedDevice { copy(claim: claim, isDeletionRequested: true) }
    fileprivate func wanting(_ spec: DeviceSpec) -> WantedDevice { copy(spec: spec, claim: claim) }

    private func copy(spec: DeviceSpec? = nil, claim: Claim?, isDeletionRequested: Bool = false) -> WantedDevice {
        WantedDevice(
            name: name, identifier: identifier, spec: spec ?? self.spec, isDeletionRequested: isDeletionRequested,
            owner: owner, group: group, claim: claim)
    }
}

extension DeviceSpecDraft {
    fileprivate static func random(using random: inout SeededGenerator) -> DeviceSpecDraft {
        var draft = DeviceSpecDraft()
        draft.kind = DeviceKind.allCases.randomElement(using: &random) ?? .tap
        draft.queues =
            Bool.random(using: &random)
            ? .single : .multiple(QueueCount(unchecked: .random(in: 1...255, using: &random)))
        draft.access = DeviceAccess.allCases.randomElement(using: &random) ?? .brokered
        draft.packetInfo = Bool.random(using: &random)
        draft.vnetHeader = Bool.random(using: &random)
        draft.vnetHeaderSize = VnetHeaderSize(unchecked: [10, 12, 20].randomElement(using: &random) ?? 12)
        if draft.vnetHeader, Bool.random(using: &random) { draft.offloads = [.checksum] }
        draft.link.mtu = MTU(unchecked: [1_280, 1_500, 9_000].randomElement(using: &random) ?? 1_500)
        draft.link.up = Bool.random(using: &random)
        draft.link.transmitQueueLength = TransmitQueueLength(
            unchecked: [500, 1_000].randomElement(using: &random) ?? 500)
        draft.link.queueDiscipline = QueueDiscipline.allCases.randomElement(using: &random) ?? .noqueue
        draft.link.alias = try? LinkAlias(["", "mine", "other"].randomElement(using: &random) ?? "")
        draft.link.altNames = ["a", "b", "c"].filter { _ in Bool.random(using: &random) }
            .compactMap { try? AlternativeName($0) }
        let sizes = [nil, 512, 40_000].map { $0.map(GSOMaxBytes.init(unchecked:)) }
        draft.link.gsoMaxBytes = sizes.randomElement(using: &random) ?? nil
        draft.link.gsoIPv4MaxBytes = sizes.randomElement(using: &random) ?? nil
        draft.link.addresses = ["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64"]
            .filter { _ in Bool.random(using: &random) }.compactMap { try? InterfaceAddress($0) }
        if draft.kind == .tap, Bool.random(using: &random) { draft.link.controller = try? InterfaceName("br0") }
        let hasIPv6 = draft.link.addresses.contains(where: \.isIPv6)
        let policies: [IPv6Policy] = hasIPv6 ? [.stated] : [.stated, .off]
        draft.link.ipv6 = policies.randomElement(using: &random) ?? .stated
        let carriers = draft.queues.isMultiple ? CarrierPolicy.allCases : [.automatic, .off]
        draft.link.carrier = carriers.randomElement(using: &random) ?? .automatic
        return draft
    }
}

extension ObservedLink {
    fileprivate mutating func disturb(using random: inout SeededGenerator, bridge: LinkIndex?) {
        switch Int.random(in: 0..<18, using: &random) {
        case 0: up.toggle()
        case 1: mtu = 1_400
        case 2: macAddress = MACAddress(bytes: [2, 0, 0, 0, 0, 9])
        case 3: transmitQueueLength = 17
        case 4: queueDiscipline = "fq"
        case 5: name = "renamed"
        case 6: tun?.persistent = false
        case 7: if tun?.owner != nil { tun?.owner = 4_711 }
        case 8: carrier.toggle()
        case 9: controller = controller == nil ? bridge : nil
        case 10: controller = bridge
        case 11: alias = alias == nil ? "theirs" : nil
        case 12: altNames.append("theirs")
        case 13: altNames = []
        case 14: set(.gsoMaxBytes(GSOMaxBytes(unchecked: 9_000)))
        case 16: ip?.ipv6?.acceptsRouterAdvertisements = 2
        case 17: ip?.acceptsIPv4Redirects = 2
        case 15: set(.gsoIPv4MaxBytes(GSOMaxBytes(unchecked: 9_001)))
        default: break
        }
    }
}

extension [ObservedAddress] {
    fileprivate mutating func disturb(using random: inout SeededGenerator) {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: removeAll()
        case 1: if let left = try? InterfaceAddress("198.51.100.1/24") { append(.init(left, origin: .tapster)) }
        case 2: if let foreign = try? InterfaceAddress("203.0.113.9/24") { append(.init(foreign, origin: .other)) }
        default: break
        }
    }
}
