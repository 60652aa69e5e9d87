import TapCore
import Testing

/// The repair budget, and the ports and names of a namespace.
@Suite struct RepairTests {
    @Test func fiveRepairsAMinuteAreAllowed() {
        var budget = RepairBudget()
        let start = ContinuousClock.now
        for second in 0..<4 { budget.note(.mtu, at: start + .seconds(second)) }
        #expect(budget.contested(at: start + .seconds(4)) == [])
        #expect(budget.due(at: start + .seconds(4)) == nil)
        budget.note(.mtu, at: start + .seconds(4))
        #expect(budget.contested(at: start + .seconds(4)) == [.mtu])
        // The budget allows a repair again when the first one is a minute old.
        #expect(budget.due(at: start + .seconds(5)) == start + .seconds(60))
        #expect(budget.contested(at: start + .seconds(59)) == [.mtu])
        #expect(budget.contested(at: start + .seconds(60)) == [])
        budget.note(.mtu, at: start + .seconds(60))
        #expect(budget.due(at: start + .seconds(60)) == start + .seconds(61))
    }

    @Test func slowDriftIsAlwaysRepaired() {
        var budget = RepairBudget()
        let start = ContinuousClock.now
        for round in 0..<1_000 {
            let now = start + .seconds(round * 15)
            #expect(budget.contested(at: now) == [])
            budget.note(.mtu, at: now)
        }
    }

    @Test func eachFieldHasItsOwnBudget() {
        var budget = RepairBudget()
        let start = ContinuousClock.now
        for _ in 0..<5 { budget.note(.mtu, at: start) }
        for _ in 0..<4 { budget.note(.up, at: start) }
        #expect(budget.contested(at: start) == [.mtu])
        budget.note(.up, at: start + .seconds(10))
        #expect(budget.contested(at: start + .seconds(10)) == [.mtu, .up])
        #expect(budget.due(at: start + .seconds(10)) == start + .seconds(60))
        #expect(RepairBudget().due(at: start) == nil)
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
