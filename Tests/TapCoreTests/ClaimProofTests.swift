import TapCore
import Testing

/// Whether an interface with a claim's number is the claim's.
@Suite struct ClaimProofTests {
    private static let host = NamespaceIdentity(boot: "boot", namespace: 1)
    private static let index = LinkIndex(rawValue: 7)

    private static func wanted(
        inode: UInt64?, isReached: Bool = true, isLost: Bool = false, kind: DeviceKind = .tap
    ) throws -> WantedDevice {
        var draft = DeviceSpecDraft()
        draft.kind = kind
        let spec = try DeviceSpec(draft)
        var claim = Claim(host: host, index: index, inode: inode, settings: DescriptorSettings(spec))
        claim.isLost = isLost
        return WantedDevice(
            name: try DeviceName("web0"), identifier: DeviceIdentifier(high: 1, low: 2), spec: spec, owner: 994,
            claim: claim, isReached: isReached)
    }

    /// The device's interface, except for a change.
    private static func link(_ wanted: WantedDevice, _ change: (inout ObservedLink) -> Void = { _ in }) -> ObservedLink
    {
        var link = ObservedLink(index: index, name: "web0")
        link.macAddress = wanted.macAddress
        var tun = ObservedTun(kind: wanted.spec.kind)
        tun.multiQueue = wanted.spec.queues.isMultiple
        tun.persistent = true
        tun.owner = 994
        link.tun = tun
        change(&link)
        return link
    }

    private static func isOwn(
        _ wanted: WantedDevice, inode: UInt64?, wasRemoved: Bool = false, isAnchored: Bool = false,
        _ change: (inout ObservedLink) -> Void = { _ in }
    ) -> Bool {
        wanted.isOwn(link(wanted, change), inode: inode, wasRemoved: wasRemoved, isAnchored: isAnchored)
    }

    @Test func theInodeDecidesWhereBothAreKnown() throws {
        let wanted = try Self.wanted(inode: 41)
        #expect(!Self.isOwn(wanted, inode: 42))
        #expect(!Self.isOwn(wanted, inode: 42, isAnchored: true))
        // Whatever has changed; and an interface that was moved to another namespace and back.
        #expect(
            Self.isOwn(wanted, inode: 41, wasRemoved: true) {
                $0.name = "renamed"
                $0.macAddress = nil
                $0.tun?.owner = nil
                $0.tun?.persistent = false
            })
        #expect(!Self.isOwn(wanted, inode: 41) { $0.tun = nil })
        #expect(!Self.isOwn(try Self.wanted(inode: 41, isLost: true), inode: 41))
    }

    @Test(arguments: [(nil, nil), (nil, 41), (41, nil)] as [(UInt64?, UInt64?)])
    func withoutAnInodeNothingMayContradict(claimed: UInt64?, found: UInt64?) throws {
        let wanted = try Self.wanted(inode: claimed)
        #expect(Self.isOwn(wanted, inode: found))
        #expect(!Self.isOwn(wanted, inode: found, wasRemoved: true))
        // Each of these alone may be drift.
        let drift: [(inout ObservedLink) -> Void] = [
            { $0.name = "other" }, { $0.macAddress = nil }, { $0.tun?.owner = nil }, { $0.tun?.persistent = false },
        ]
        for first in drift.indices {
            #expect(Self.isOwn(wanted, inode: found, drift[first]))
            for second in drift.indices where second != first {
                let both: (inout ObservedLink) -> Void = {
                    drift[first](&$0)
                    drift[second](&$0)
                }
                #expect(!Self.isOwn(wanted, inode: found, both))
                // A descriptor of the interface proves that it is the device's.
                #expect(Self.isOwn(wanted, inode: found, isAnchored: true, both))
            }
        }
        // The kernel fixes these at creation.
        #expect(!Self.isOwn(wanted, inode: found) { $0.tun?.multiQueue.toggle() })
        #expect(!Self.isOwn(wanted, inode: found) { $0.tun?.kind = .tun })
    }

    /// A daemon that has ended in the middle of a change left a spec that the interface never had.
    @Test func aSpecThatWasNeverReachedIsNoEvidence() throws {
        let wanted = try Self.wanted(inode: nil, isReached: false)
        #expect(
            Self.isOwn(wanted, inode: nil) {
                $0.macAddress = nil
                $0.tun?.owner = nil
                $0.tun?.multiQueue.toggle()
            })
        #expect(
            !Self.isOwn(wanted, inode: nil) {
                $0.name = "other"
                $0.tun?.persistent = false
            })
    }

    @Test func aTunHasNoMACToCompare() throws {
        let wanted = try Self.wanted(inode: nil, kind: .tun)
        #expect(Self.isOwn(wanted, inode: nil) { $0.name = "other" })
        #expect(
            !Self.isOwn(wanted, inode: nil) {
                $0.name = "other"
                $0.tun?.owner = 1_000
            })
    }
}
