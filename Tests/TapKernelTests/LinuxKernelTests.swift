import TapSystem
import CLinux
import Foundation
import TapCore
import TestSupport
import Testing

@testable import TapKernel

/// The real kernel, each test in a namespace of its own.
@Suite(.privileged) struct LinuxKernelTests {
    private static func wanted(_ name: String = "web0", _ draft: DeviceSpecDraft = DeviceSpecDraft()) throws
        -> WantedDevice
    {
        WantedDevice(
            name: try DeviceName(name), identifier: DeviceIdentifier(high: 3, low: 4), spec: try DeviceSpec(draft),
            owner: draft.access == .brokered ? 0 : nil)
    }

    private static func open() throws -> LinuxNamespace {
        try #require(try LinuxKernel().open(nil) as? LinuxNamespace)
    }

    private static func observe(_ kernel: some KernelNamespace) throws -> ObservedNamespace {
        var observed = ObservedNamespace(host: kernel.host, links: try kernel.links())
        observed.anchored = kernel.anchored
        observed.addresses = try kernel.addresses()
        return observed
    }

    @discardableResult
    private static func perform(
        _ steps: some Sequence<Step>, on name: DeviceName, at index: LinkIndex?, _ kernel: some KernelNamespace
    ) throws -> LinkIndex? {
        var runs = [StepRun(steps, on: name, at: index)]
        kernel.perform(&runs) { _ in }
        if let failure = runs[0].failure { throw failure }
        return runs[0].index
    }

    /// Decides and performs steps until none are left, as the worker does.
    private static func settle(_ wanted: WantedDevice, _ kernel: some KernelNamespace) throws -> WantedDevice {
        var wanted = wanted
        for _ in 0..<3 {
            guard case .act(let steps, _, var index) = try decide(wanted, kernel), steps != [.forget] else { break }
            for step in steps {
                if case .claim(let settings) = step, let index {
                    wanted = WantedDevice(
                        name: wanted.name, identifier: wanted.identifier, spec: wanted.spec, owner: wanted.owner,
                        claim: Claim(host: kernel.host, index: index, settings: settings))
                } else {
                    index = try perform([step], on: wanted.name, at: index, kernel)
                }
            }
        }
        return wanted
    }

    private static func decide(_ wanted: WantedDevice, _ kernel: some KernelNamespace) throws -> Decision {
        wanted.decide(in: try observe(kernel))
    }

    @Test(arguments: [DeviceKind.tap, .tun], [DeviceAccess.brokered, .open])
    func aPlanSettlesTheDevice(kind: DeviceKind, access: DeviceAccess) async throws {
        try await inNamespace {
            for queues in [QueueLayout.single, .multiple(try QueueCount(4))] {
                var draft = DeviceSpecDraft()
                draft.kind = kind
                draft.access = access
                draft.queues = queues
                draft.link.mtu = try MTU(1_400)
                draft.link.transmitQueueLength = try TransmitQueueLength(500)
                let kernel = try Self.open()
                let wanted = try Self.settle(try Self.wanted("fifteen-bytes-x", draft), kernel)
                guard case .settled(let link) = try Self.decide(wanted, kernel) else {
                    throw TestFailure("\(try Self.decide(wanted, kernel))")
                }
                #expect(link.queueDiscipline == "noqueue")
                #expect(link.tun?.persistent == true)
                #expect(kernel.anchored.contains(link.index) == wanted.wantsAnchor)
                try run("ip", "link", "del", "fifteen-bytes-x")
            }
        }
    }

    @Test func anUnclaimedDeviceIsRemoved() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            let wanted = try Self.wanted()
            guard case .act(let steps, _, _) = try Self.decide(wanted, kernel) else { throw TestFailure("no plan") }
            let index = try Self.perform(steps.prefix { $0.name != "claim" }, on: wanted.name, at: nil, kernel)
            #expect(try kernel.links().contains { $0.name == "web0" })
            kernel.abandon(try #require(index))
            // A process that another test is just starting may have inherited the descriptor for a moment.
            try eventually("the device goes") { try !kernel.links().contains { $0.name == "web0" } }
        }
    }

    @Test func aMarkIsThereFromBeforeTheInterfaceToAfterIt() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let folder = directory + "/marks"
                func marks() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
                _ = try InterfaceMarks(folder: folder)
                #expect(FileManager.default.createFile(atPath: folder + "/stale", contents: nil))
                let kernel = try LinuxKernel(marks: try InterfaceMarks(folder: folder)).open(nil)
                #expect(try marks() == [])

                let wanted = try Self.settle(try Self.wanted(), kernel)
                #expect(try marks() == ["web0"])
                let link = try #require(wanted.ownLink(in: try Self.observe(kernel)))

                try run("ip", "tuntap", "add", "foreign", "mode", "tap")
                let foreign = try Self.wanted("foreign")
                #expect(throws: KernelError.self) {
                    try Self.perform([.create(CreationFlags(foreign.spec))], on: foreign.name, at: nil, kernel)
                }
                #expect(try marks() == ["web0"])

                try FileManager.default.removeItem(atPath: folder + "/web0")
                kernel.mark(link)
                #expect(try marks() == ["web0"])
                #expect(kernel.delete([link.index]) == [:])
                kernel.abandon(link.index)
                #expect(try marks() == [])
            }
        }
    }

    @Test func aNewAnchorTakesOverWithoutAFlap() async throws {
        try await inNamespace {
            var draft = DeviceSpecDraft()
            draft.access = .open
            let wanted = try Self.settle(try Self.wanted("web0", draft), try Self.open())
            let before = try Self.carrierChanges("web0")
            let second = try Self.open()
            _ = try Self.settle(wanted, second)
            #expect(second.anchored.count == 1)
            #expect(try Self.carrierChanges("web0") == before)
        }
    }

    /// From a /sys of this thread's network namespace, in a mount namespace that ends with the command.
    private static func carrierChanges(_ name: String) throws -> String {
        try run(
            "unshare", "--mount", "sh", "-c", "mount -t sysfs none /sys && cat /sys/class/net/\(name)/carrier_changes")
    }

    /// Both bounds, and the IPv4 size together with the general one; a kernel before 6.3 has only the latter.
    @Test func gsoSizesAreSetAndShown() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            var wanted = try Self.settle(try Self.wanted(), kernel)
            let fresh = try #require(try kernel.links().first { $0.name == "web0" }).attributes
            #expect(fresh.first == .gsoMaxBytes(.standard))
            let hasIPv4 = fresh.contains(.gsoIPv4MaxBytes(.standard))
            for (size, ipv4) in [(512, 65_536), (65_536, 512), (40_000, 50_000)] {
                var draft = DeviceSpecDraft()
                draft.link.gsoMaxBytes = try GSOMaxBytes(size)
                draft.link.gsoIPv4MaxBytes = try GSOMaxBytes(ipv4)
                wanted = WantedDevice(
                    name: wanted.name, identifier: wanted.identifier, spec: try DeviceSpec(draft), owner: 0,
                    claim: wanted.claim)
                _ = try Self.settle(wanted, kernel)
                let link = try #require(try kernel.links().first { $0.name == "web0" })
                #expect(link.attributes.contains(.gsoMaxBytes(try GSOMaxBytes(size))))
                if hasIPv4 {
                    #expect(try Self.decide(wanted, kernel) == .settled(link))
                } else {
                    guard case .blocked(.unsupported([.gsoIPv4MaxBytes]), _, _) = try Self.decide(wanted, kernel) else {
                        throw TestFailure("\(try Self.decide(wanted, kernel))")
                    }
                }
            }
            // With the general size the kernel changes the IPv4 size too. Both are repaired.
            try run("ip", "link", "set", "web0", "gso_max_size", "30000")
            _ = try Self.settle(wanted, kernel)
            let link = try #require(try kernel.links().first { $0.name == "web0" })
            #expect(link.attributes.first == .gsoMaxBytes(try GSOMaxBytes(40_000)))
            if hasIPv4 { #expect(link.attributes.last == .gsoIPv4MaxBytes(try GSOMaxBytes(50_000))) }
        }
    }

    @Test func errorsNameTheStep() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            try run("ip", "tuntap", "add", "dev", "web0", "mode", "tap")
            let error = #expect(throws: KernelError.self) {
                try Self.perform(
                    [.create(CreationFlags(try Self.wanted().spec))], on: try DeviceName("web0"), at: nil, kernel)
            }
            #expect(error?.operation == "create")
            #expect(error?.errno == .busy)
        }
    }

    @Test func refusedLinkChangesHaveTheKernelsErrno() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            let error = #expect(throws: KernelError.self) {
                try Self.perform(
                    [.setLink([.mtu(.ethernet)])], on: try DeviceName("gone"), at: LinkIndex(rawValue: 999), kernel)
            }
            #expect(error == KernelError("set_link", .noDevice))
        }
    }

    @Test func theMonitorReportsEveryChange() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            let wanted = try Self.settle(try Self.wanted(), kernel)
            let index = try #require(wanted.claim?.index)
            _ = try kernel.signals()
            for change in [["mtu", "1400"], ["txqueuelen", "7"], ["address", "02:00:00:00:00:09"], ["down"]] {
                let words = ["link", "set", "web0"] + change
                try run("ip", words)
                #expect(try kernel.signals().touched.contains(index), "\(change)")
            }
        }
    }

    @Test func lostNotificationsAreAnOverrun() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            // More than 8 MiB of unread notifications.
            try run("bash", "-c", "for i in $(seq 200); do echo tuntap add dev d$i mode tap; done | ip -batch -")
            for round in 0..<60 {
                let mtu = 1_300 + round
                try run("bash", "-c", "for i in $(seq 200); do echo link set d$i mtu \(mtu); done | ip -batch -")
            }
            #expect(try kernel.signals().wasOverrun)
        }
    }

    @Test func accountsAreFound() {
        let accounts = SystemAccounts()
        #expect(accounts.userNumber(.name("root")) == 0)
        #expect(accounts.groupNumber(.name("root")) == 0)
        #expect(accounts.userNumber(.name("no-such-user-here")) == nil)
        #expect(accounts.userNumber(.number(4_711)) == 4_711)
    }

    @Test func manyLinksAreReadTogether() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            for number in 0..<100 { _ = try Self.settle(try Self.wanted("t\(number)"), kernel) }
            let all = try kernel.links()
            let wanted = all.map(\.index) + [LinkIndex(rawValue: 9_999)]
            #expect(all.count == 101)
            // Read by single requests, and by a dump of all.
            for count in [1_000_000, 101] {
                let some = try kernel.links(at: wanted, outOf: count)
                #expect(Set(some.map(\.name)) == Set(all.map(\.name)))
            }
        }
    }
}
