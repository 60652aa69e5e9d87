import TapCore
import Testing

/// The repair budget, and the ports and names of a namespace.
@Suite struct RepairTests {
    private static let start = ContinuousClock.now

    private static func second(_ number: Double) -> ContinuousClock.Instant {
        start + .milliseconds(Int(number * 1_000))
    }

    /// A budget after six changes within half a second, of which the last is not repaired.
    private static func contested(_ field: DeviceField = .mtu) -> RepairBudget {
        var budget = RepairBudget()
        for repair in 0..<RepairBudget.repairsMax { budget.note(field, at: second(Double(repair) / 10)) }
        return budget
    }

    @Test func fiveRepairsAreMadeAtOnceAndTheNextAfterTwoQuietSeconds() {
        var budget = RepairBudget()
        for repair in 0..<4 { budget.note(.mtu, at: Self.second(Double(repair) / 10)) }
        #expect(budget.contested(at: Self.second(0.4)) == [])
        #expect(budget.due(at: Self.second(0.4)) == nil)
        budget.note(.mtu, at: Self.second(0.4))
        #expect(budget.contested(at: Self.second(0.4)) == [.mtu])
        #expect(budget.due(at: Self.second(0.5)) == Self.second(2.4))
        #expect(budget.contested(at: Self.second(2.3)) == [.mtu])
        #expect(budget.contested(at: Self.second(2.4)) == [])
        #expect(budget.due(at: Self.second(2.4)) == nil)
    }

    @Test func theWaitDoublesWhileAnotherProgramGoesOn() {
        var budget = Self.contested()
        var now = Self.second(0.4)
        for wait in [2, 4, 8, 16, 32, 60, 60, 60] {
            #expect(budget.due(at: now) == now + .seconds(wait))
            #expect(budget.contested(at: now + .seconds(wait) - .milliseconds(1)) == [.mtu])
            now += .seconds(wait)
            #expect(budget.contested(at: now) == [])
            budget.note(.mtu, at: now)
        }
        // It goes on, with a change every minute and a half: this is no quiet yet.
        now += .seconds(90)
        budget.note(.mtu, at: now)
        #expect(budget.due(at: now) == now + .seconds(60))
    }

    @Test func quietEndsAConflict() {
        var budget = Self.contested()
        // The repair after two seconds holds.
        budget.note(.mtu, at: Self.second(2.4))
        #expect(!budget.isQuiet(at: Self.second(17.3)))
        #expect(budget.isQuiet(at: Self.second(17.4)))
        // The next burst is repaired five times at once again.
        for repair in 0..<4 {
            budget.note(.mtu, at: Self.second(17.4 + Double(repair) / 10))
            #expect(budget.contested(at: Self.second(17.4 + Double(repair) / 10)) == [])
        }
        budget.note(.mtu, at: Self.second(18))
        #expect(budget.due(at: Self.second(18)) == Self.second(20))
        #expect(RepairBudget().isQuiet(at: Self.second(0)))
    }

    @Test func slowDriftIsAlwaysRepaired() {
        var budget = RepairBudget()
        for round in 0..<1_000 {
            let now = Self.start + .seconds(round * RepairBudget.quietSecondsMin)
            #expect(budget.contested(at: now) == [])
            budget.note(.mtu, at: now)
        }
    }

    @Test func eachFieldHasItsOwnBudget() {
        var budget = Self.contested()
        for _ in 0..<4 { budget.note(.up, at: Self.second(0)) }
        #expect(budget.contested(at: Self.second(1)) == [.mtu])
        budget.note(.up, at: Self.second(1))
        #expect(budget.contested(at: Self.second(1)) == [.mtu, .up])
        #expect(budget.due(at: Self.second(1)) == Self.second(2.4))
        #expect(budget.due(at: Self.second(2.4)) == Self.second(3))
        #expect(RepairBudget().due(at: Self.second(0)) == nil)
    }

    @Test func anotherControllerIsNoConflict() {
        let (old, new) = (LinkIndex(rawValue: 7), LinkIndex(rawValue: 8))
        var budget = RepairBudget()
        for repair in 0..<5 { budget.note(.controller, controller: old, at: Self.second(Double(repair) / 10)) }
        #expect(budget.contested(controller: old, at: Self.second(1)) == [.controller])
        // The bridge is made anew during the wait.
        #expect(budget.contested(controller: new, at: Self.second(1)) == [])
        budget.note(.controller, controller: new, at: Self.second(1))
        #expect(budget.contested(controller: new, at: Self.second(1)) == [])
        // A bridge that is made anew again and again.
        for round in 1...20 {
            let controller = LinkIndex(rawValue: 8 + Int32(round))
            budget.note(.controller, controller: controller, at: Self.second(1 + Double(round) / 10))
            #expect(budget.contested(controller: controller, at: Self.second(1 + Double(round) / 10)) == [])
        }
        // Other fields are not about the controller.
        for _ in 0..<5 { budget.note(.mtu, controller: new, at: Self.second(3)) }
        #expect(budget.contested(controller: old, at: Self.second(3)) == [.mtu])
    }

    private static func link(_ index: Int32, _ name: String, controller: Int32? = nil) -> ObservedLink {
        var link = ObservedLink(index: LinkIndex(rawValue: index), name: name)
        link.controller = controller.map { LinkIndex(rawValue: $0) }
        return link
    }

    private static let bridge = LinkIndex(rawValue: 1)

    @Test func portsAreCountedAndPromised() {
        var namespace = ObservedNamespace(
            host: NamespaceIdentity(boot: "boot", namespace: 1),
            links: [Self.link(1, "br0"), Self.link(2, "p0", controller: 1), Self.link(3, "p1")])
        #expect(namespace.ports(of: Self.bridge) == 1)
        namespace.insert(Self.link(3, "p1", controller: 1))
        #expect(namespace.ports(of: Self.bridge) == 2)
        // The same link again is the same port.
        namespace.insert(Self.link(3, "p1", controller: 1))
        #expect(namespace.ports(of: Self.bridge) == 2)
        namespace.reservePort(of: Self.bridge)
        namespace.reservePort(of: Self.bridge)
        #expect(namespace.ports(of: Self.bridge) == 4)
        namespace.endReservations()
        #expect(namespace.ports(of: Self.bridge) == 2)
        namespace.remove(LinkIndex(rawValue: 2))
        namespace.remove(LinkIndex(rawValue: 2))
        namespace.insert(Self.link(3, "p1"))
        #expect(namespace.ports(of: Self.bridge) == 0)
    }

    @Test func linksAreFoundByEveryName() {
        var link = Self.link(2, "eth0")
        link.altNames = ["front", "enp1s0"]
        var namespace = ObservedNamespace(host: NamespaceIdentity(boot: "boot", namespace: 1), links: [link])
        for name in ["eth0", "front", "enp1s0"] { #expect(namespace[name]?.index.rawValue == 2) }
        link.name = "eth1"
        link.altNames = ["front"]
        namespace.insert(link)
        for name in ["eth0", "enp1s0"] { #expect(namespace[name] == nil) }
        // An interface that has taken over a name keeps it when the former owner is removed.
        namespace.insert(Self.link(3, "front"))
        namespace.remove(LinkIndex(rawValue: 2))
        #expect(namespace["front"]?.index.rawValue == 3)
        #expect(namespace["eth1"] == nil)
    }
}
