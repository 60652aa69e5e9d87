import TapCore
import TapDocument

/// A sample of each document of the daemon, with all members.
enum AnswerSamples {
    static let moment = Timestamp(microseconds: 1_767_225_600_123_000)
    static let later = Timestamp(microseconds: 1_767_225_600_456_000)
    static let author = Author(name: "uid:0", source: "pid 17", request: "r-1")

    static func all() throws -> [any AnswerDocument] {
        [
            try device(), try emptyDevice(), DeviceList(items: [try device(), try emptyDevice()], metadata: nextPage),
            DeviceList(items: [], metadata: .init(continueToken: nil, resourceVersion: 0)), try queue(),
            ItemList([try freeQueue()]), try assignment(), try assignedQueue(), try lease(), try plan(),
            try drifted(), try event(), try leaseEvent(), ownEvent, try revision(), try listedRevision(),
            try unmanaged(),
            bareUnmanaged, problem, plainProblem, VersionDocument(name: "tapster", version: "1.2.3"),
            Backup(path: "/var/lib/tapster/db.backup-1", bytesCount: 4_096, revision: 417, createdAt: moment),
            try apply(), try dryRun(), ReconcileDocument(looked: true), WatchEvent.added(try device()),
            WatchEvent.modified(try device()), WatchEvent.deleted(try emptyDevice()),
            WatchEvent.bookmark(revision: 417), WatchEvent.error(problem),
            WatchEvent.unknown(kind: "PAUSED", object: ["seconds": 5]), try leaseMessage(), try lastLeaseMessage(),
        ]
    }

    static let nextPage = DeviceList.Metadata(continueToken: "417.web0", resourceVersion: 417)

    static func spec() throws -> DeviceSpec {
        var draft = DeviceSpecDraft()
        draft.queues = .multiple(try QueueCount(4))
        draft.access = .open
        draft.owner = try Principal("alice")
        draft.group = try Principal(12)
        draft.link.macAddress = try MACAddress("02:00:00:00:00:01")
        draft.link.alias = try LinkAlias("a \"quoted\" name")
        draft.link.addresses = [try InterfaceAddress("192.0.2.1/24")]
        return try DeviceSpec(draft)
    }

    static func device() throws -> DeviceDocument {
        let identifier = DeviceIdentifier(high: 0x0123_4567_89AB_4DEF, low: 0x8123_4567_89AB_CDEF)
        var link = ObservedLink(index: LinkIndex(rawValue: 12), name: "web0")
        link.mtu = 1_500
        link.macAddress = try MACAddress("02:00:00:00:00:01")
        link.operationalState = .lowerLayerDown
        var tun = ObservedTun(kind: .tap)
        (tun.attachedQueues, tun.detachedQueues) = (3, 1)
        (tun.vnetHeaderSize, tun.offloads) = (12, [.checksum, .tso4, .tso6])
        link.tun = tun
        var status = DeviceStatus()
        status.observedGeneration = 2
        status.link = link
        status.drift = try drift()
        status.lastError = "set_link: EBUSY"
        status.strayQueues = StrayQueues(
            attached: 1, detached: 2,
            holders: [DescriptorHolder(process: 17, user: nil, command: nil, descriptors: 3)])
        status.set(.ready, holds: false, reason: "DriftReported", message: "é / \\ \u{1}", at: moment)
        return DeviceDocument(
            metadata: .init(
                name: try DeviceName("web0"), identifier: identifier, labels: try Labels(stored: ["vm": "web"]),
                generation: 3, resourceVersion: 417, createdAt: moment, updatedAt: later, deletionRequestedAt: later),
            spec: try spec(),
            status: .init(
                status, phase: .deleting,
                leased: Condition(.leased, holds: true, reason: "Leased", message: "queues 0", since: later)))
    }

    static func emptyDevice() throws -> DeviceDocument {
        DeviceDocument(
            metadata: .init(
                name: try DeviceName("web1"), identifier: DeviceIdentifier(high: 0, low: 1), labels: .none,
                generation: 1, resourceVersion: 0, createdAt: moment, updatedAt: moment, deletionRequestedAt: nil),
            spec: try DeviceSpec(DeviceSpecDraft()),
            status: .init(
                DeviceStatus(), phase: .pending,
                leased: Condition(.leased, holds: false, reason: "None", message: "", since: moment)))
    }

    /// A difference for each kind of value.
    static func drift() throws -> [Drift] {
        [
            Difference(.mtu, wanted: .integer(1_500), observed: .unsupported),
            Difference(.up, wanted: .bool(true), observed: .bool(false)),
            Difference(.alias, wanted: .text("a"), observed: .nothing),
            Difference(.altNames, wanted: .words(["b", "c"]), observed: .words([])),
        ].map { Drift($0, since: later) }
    }

    static func assignment() throws -> Assignment {
        Assignment(consumer: try ConsumerName("vm-42"), cpus: [try CPUNumber(7), try CPUNumber(2)], assignedAt: moment)
    }

    static func identifier() throws -> LeaseIdentifier {
        guard let identifier = LeaseIdentifier("0123456789abcdef") else { throw ValidationError("no identifier") }
        return identifier
    }

    static func queue() throws -> QueueDocument {
        QueueDocument(
            index: 3, isEnabled: true, kernelIndex: 1, isAttached: true, assignment: try assignment(),
            lease: try identifier())
    }

    static func freeQueue() throws -> QueueDocument {
        QueueDocument(index: 0, isEnabled: false, kernelIndex: nil, isAttached: false, assignment: nil, lease: nil)
    }

    static func assignedQueue() throws -> AssignedQueue {
        AssignedQueue(device: try DeviceName("web0"), queue: 3, assignment: try assignment())
    }

    static func lease() throws -> LeaseDocument {
        LeaseDocument(
            id: try identifier(), device: try DeviceName("web0"), consumer: try ConsumerName("vm-42"), queues: [0, 3],
            process: 17, user: 1_000, group: 12, userName: "alice", command: "qemu", since: moment)
    }

    /// With every kind of step.
    static func steps() throws -> [Step] {
        let flags = CreationFlags(try spec())
        let closed = IPv6Settings(
            addressGeneration: 1, acceptsRouterAdvertisements: 0, autoconfiguration: 0, acceptsRedirects: 0,
            isDisabled: 1)
        let change: LinkChange = [
            .name(try DeviceName("web0")), .mtu(.ethernet), .controller(.leave), .alias(nil), .promoteSecondaries,
            .up(true), .gsoMaxBytes(.standard), .ip(IPSettings(acceptsIPv4Redirects: 0, ipv6: closed)),
        ]
        let address = try InterfaceAddress("2001:db8::1/64")
        return [
            .create(flags), .attach(flags, carrier: false), .setOwner(1_000), .setGroup(12),
            .setVnetHeaderSize(.mergeable), .setOffloads([.checksum, .tso4]), .claim(DescriptorSettings(try spec())),
            .persist, .setQueueDiscipline(.noqueue), .setLink(change), .addAltNames([try AlternativeName("b")]),
            .restorePort([.init(.isolated, 1), .init(.cost, 7)]), .removeAltNames(["c"]), .setIPv6(closed),
            .removeLearnedRoutes,
            .addAddress(address, detectsDuplicates: true),
            .removeAddress(address), .anchor, .setCarrier(true), .release, .delete, .forget,
        ]
    }

    static func plan() throws -> PlanDocument {
        PlanDocument(
            device: try DeviceName("web0"), steps: try steps(), obstacle: "the name is taken",
            effects: ["the MTU of br0 falls from 9000 to 1500"])
    }

    static func drifted() throws -> DriftedDevice {
        var status = DeviceStatus()
        status.drift = try drift()
        status.plannedSteps = [.setCarrier(true)]
        status.set(.ready, holds: false, reason: "DriftReported", message: "", at: moment)
        return DriftedDevice(try DeviceName("web0"), .report, status)
    }

    static func event() throws -> EventRecord {
        var event = EventRecord(
            at: moment, device: try DeviceName("web0"), severity: .warning, reason: .driftRepaired, message: "m",
            difference: FieldDifference(Difference(.mtu, wanted: .integer(1_500), observed: .integer(9_000))),
            author: author, revision: 417)
        event.id = 5
        return event
    }

    static func leaseEvent() throws -> EventRecord {
        EventRecord(
            at: moment, device: try DeviceName("web0"), reason: .leaseEnded, message: "m",
            lease: EventLease(try lease(), cause: LeaseEnd.closed.rawValue))
    }

    static let ownEvent = EventRecord(at: moment, device: nil, reason: .databaseRecovered, message: "")

    static func revision() throws -> RevisionDocument {
        var revision = try listedRevision()
        let input = DeviceInput(
            name: try DeviceName("web0"), labels: try Labels(stored: ["vm": "web"]), spec: try spec())
        revision.devices = [PastDevice(input)]
        return revision
    }

    static func listedRevision() throws -> RevisionDocument {
        RevisionDocument(
            revision: 417, at: moment, author: author,
            changes: [ChangedDevice(name: try DeviceName("web0"), change: .updated)])
    }

    static func unmanaged() throws -> UnmanagedDocument {
        var link = ObservedLink(index: LinkIndex(rawValue: 12), name: "weird:name")
        link.altNames = ["z", "a"]
        (link.alias, link.up, link.carrier, link.mtu) = ("x", true, true, 9_000)
        link.macAddress = try MACAddress("02:00:00:00:00:01")
        link.attributes = [.gsoMaxBytes(.standard), .gsoIPv4MaxBytes(try GSOMaxBytes(40_000))]
        var tun = ObservedTun(kind: .tun)
        (tun.owner, tun.group, tun.attachedQueues, tun.detachedQueues) = (1_000, 12, 1, 0)
        link.tun = tun
        let address = ObservedAddress(try InterfaceAddress("192.0.2.1/24"), origin: .other)
        return UnmanagedDocument(
            link, in: try NetworkNamespace("blue"), controller: "br0", addresses: [address],
            holders: [DescriptorHolder(process: 17, user: 64_055, command: "qemu", descriptors: 2)])
    }

    static let bareUnmanaged = UnmanagedDocument(
        ObservedLink(index: LinkIndex(rawValue: 1), name: "tap0"), in: nil, controller: nil, addresses: [],
        holders: [])

    static let problem = ProblemDocument(
        status: 422, code: "INVALID_DOCUMENT", title: "t", detail: "d", instance: "/v1/devices",
        requestIdentifier: "r-1", errors: [FieldIssue(pointer: "/spec/a~1b", detail: "e")])

    static let plainProblem = ProblemDocument(
        status: 404, code: "NOT_FOUND", title: "t", detail: "d", instance: "/", requestIdentifier: "r-2")

    static func apply() throws -> ApplyDocument {
        let change = ChangedDevice(name: try DeviceName("web0"), change: .created)
        var answer = ApplyDocument(revision: 418, changes: [change], confirmBy: later)
        answer.unreached = [try DeviceName("web0")]
        return answer
    }

    static func dryRun() throws -> ApplyDocument {
        let change = ChangedDevice(name: try DeviceName("web0"), change: .unchanged)
        return ApplyDocument(revision: nil, changes: [change], plan: [try plan()])
    }

    static func lastLeaseMessage() throws -> LeaseMessage {
        LeaseMessage(
            lease: try identifier(), device: try DeviceName("web0"), index: LinkIndex(rawValue: 12),
            networkNamespace: nil, vnetHeaderSize: nil, queues: [0, 3], isLast: true)
    }

    static func leaseMessage() throws -> LeaseMessage {
        var message = try lastLeaseMessage()
        (message.networkNamespace, message.vnetHeaderSize, message.isLast) = (try NetworkNamespace("blue"), 12, false)
        return message
    }
}
