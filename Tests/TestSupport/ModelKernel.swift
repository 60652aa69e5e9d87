import TapSystem
import Foundation
import Synchronization
import TapCore

/// An in-memory kernel for tests without root: properties of plans, and the API. It behaves like tun and rtnetlink as
/// far as plans depend on them.
public final class ModelKernel: Kernel, @unchecked Sendable {
    // Unchecked: all mutable state is accessed only while the signal's condition is locked.

    fileprivate final class Signal: Waker, @unchecked Sendable {
        // Unchecked: `isSet` is accessed only while `condition` is locked.
        let condition = NSCondition()
        var isSet = false

        func wake() {
            condition.withLock {
                isSet = true
                condition.signal()
            }
        }
    }

    public let daemonUser: UInt32 = 0
    public let daemonGroup: UInt32 = 0
    public let features: KernelFeatures
    private let boot: String
    private let attributes: [LinkAttribute]
    private let signal = Signal()
    private var namespaces: [NetworkNamespace?: ModelNamespace] = [:]
    private var haveMountsChanged = false
    private var nextCookie: UInt64 = 1

    /// - Parameters:
    ///   - boot: The boot identifier.
    ///   - features: The features of its tun driver.
    ///   - attributes: The attributes of a new link beside those that every kernel reports.
    public init(
        boot: String = "boot", features: KernelFeatures = .all,
        attributes: [LinkAttribute] = [
            .gsoMaxBytes(.standard), .gsoIPv4MaxBytes(.standard),
        ]
    ) {
        self.boot = boot
        self.features = features
        self.attributes = attributes
        own = ModelNamespace(host: NamespaceIdentity(boot: boot, namespace: 0), signal: signal, attributes: attributes)
        namespaces = [nil: own]
    }

    public var waker: any Waker { signal }

    /// The daemon's own namespace.
    public let own: ModelNamespace

    /// Adds an empty namespace, or replaces the one at the location.
    @discardableResult
    public func addNamespace(_ location: NetworkNamespace?) -> ModelNamespace {
        signal.condition.withLock {
            let namespace = ModelNamespace(
                host: NamespaceIdentity(boot: boot, namespace: nextCookie), signal: signal, attributes: attributes)
            nextCookie += 1
            namespaces[location] = namespace
            haveMountsChanged = true
            signal.isSet = true
            signal.condition.signal()
            return namespace
        }
    }

    /// Removes a namespace, as if its mount were gone.
    public func removeNamespace(_ location: NetworkNamespace) {
        signal.condition.withLock {
            namespaces.removeValue(forKey: location)?.isRemoved = true
            haveMountsChanged = true
            signal.isSet = true
            signal.condition.signal()
        }
    }

    public func open(_ location: NetworkNamespace?) throws(NamespaceFailure) -> any KernelNamespace {
        guard let namespace = signal.condition.withLock({ namespaces[location] }) else {
            throw .missing("\(location?.path ?? "") does not exist")
        }
        return namespace
    }

    /// `nil`: leases are not modelled, so nothing outlives the process and no connection is monitored.
    public var memory: (any KernelMemory)? { nil }

    public func keep(_ connection: any KernelConnection, _ queues: [any KernelQueue], as name: String) {}

    public func forget(_ name: String, queues: Int) {}

    public func restoreKept() -> KeptDescriptors { KeptDescriptors() }

    public func connection(owning socket: OwnedDescriptor) throws(KernelError) -> any KernelConnection {
        throw KernelError("watch", .invalid)
    }

    public func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelEvents {
        signal.condition.withLock {
            while !signal.isSet, deadline.map({ ContinuousClock.now < $0 }) ?? true {
                let left = deadline.map { ContinuousClock.now.duration(to: $0) } ?? .seconds(3_600)
                let seconds = Double(left.components.seconds) + Double(left.components.attoseconds) / 1e18
                _ = signal.condition.wait(until: Date(timeIntervalSinceNow: seconds))
            }
            signal.isSet = false
            defer { haveMountsChanged = false }
            var news = KernelEvents()
            news.haveMountsChanged = haveMountsChanged
            return news
        }
    }

    /// One process holds every interface.
    public var holders: any DescriptorHolderSource { modelHolders }

    /// CPUs that are online; `nil`: they cannot be read.
    public var processors: any ProcessorSource { modelProcessors }

    /// Every CPU is online until a test says otherwise.
    public let modelProcessors = ModelProcessors()

    /// Counts the searches.
    public let modelHolders = ModelHolders()
}

/// The CPUs of the in-memory kernel's host.
public final class ModelProcessors: ProcessorSource {
    private let numbers = Mutex<Set<Int>?>(nil)

    public func set(_ online: Set<Int>) { numbers.withLock { $0 = online } }

    public func online() -> Set<Int>? { numbers.withLock(\.self) }
}

/// Who holds the descriptors of the in-memory kernel.
public final class ModelHolders: DescriptorHolderSource {
    private let searches = Mutex(0)

    /// The number of searches so far.
    public var searchCount: Int { searches.withLock(\.self) }

    public func holders(of names: Set<String>) -> [String: [DescriptorHolder]] {
        searches.withLock { $0 += 1 }
        let holder = DescriptorHolder(process: 4_711, user: 64_055, command: "qemu", descriptors: 2)
        return Dictionary(uniqueKeysWithValues: names.map { ($0, [holder]) })
    }
}

/// One namespace of the in-memory kernel.
public final class ModelNamespace: KernelNamespace, @unchecked Sendable {
    // Unchecked: all mutable state is accessed only while `condition` is locked.

    public let host: NamespaceIdentity
    fileprivate var isRemoved = false
    private let signal: ModelKernel.Signal
    private var condition: NSCondition { signal.condition }
    private var devices: [LinkIndex: ObservedLink] = [:]
    private var settings: [LinkIndex: DescriptorSettings] = [:]
    /// Those of links that replaced others.
    private var inodes: [LinkIndex: UInt64] = [:]
    private var nextInode: UInt64 = 1 << 32
    private var addressesByLink: [LinkIndex: [ObservedAddress]] = [:]
    private var held: Set<LinkIndex> = []
    private var dumps = 0
    private var missing: KernelError?
    private var anchors: Set<LinkIndex> = []
    private var nextIndex: Int32 = 2
    private var heard = KernelSignals()
    private var failures: [String: Errno] = [:]
    private let attributes: [LinkAttribute]

    /// The kernel's counters, which a test can set.
    public let counters: ModelStatistics

    fileprivate init(host: NamespaceIdentity, signal: ModelKernel.Signal, attributes: [LinkAttribute]) {
        self.host = host
        self.attributes = attributes
        self.signal = signal
        counters = ModelStatistics(host)
    }

    // MARK: For tests

    /// Every interface, in no particular order.
    public var table: [ObservedLink] { condition.withLock { Array(devices.values) } }

    /// The observed state, for plans.
    public var observed: ObservedNamespace {
        condition.withLock {
            var observed = ObservedNamespace(host: host, links: Array(devices.values))
            observed.anchored = anchors
            observed.defaults = Self.defaults
            observed.addresses = addressesByLink
            return observed
        }
    }

    /// Changes a link as another process would. Setting it to `nil` removes the link; setting one makes it.
    public func change(_ name: String, _ body: (inout ObservedLink?) -> Void) {
        condition.withLock {
            let index = devices.values.first { $0.name == name }?.index
            var link = index.flatMap { devices[$0] }
            body(&link)
            if let link {
                devices[link.index] = link
                heard.touched.insert(link.index)
            } else if let index {
                remove(index)
            }
            signal.isSet = true
            condition.signal()
        }
    }

    /// Changes a link's addresses as another process would.
    public func changeAddresses(_ name: String, _ body: (inout [ObservedAddress]) -> Void) {
        condition.withLock {
            guard let index = devices.values.first(where: { $0.name == name })?.index else { return }
            body(&addressesByLink[index, default: []])
            heard.readdressed.insert(index)
            signal.isSet = true
            condition.signal()
        }
    }

    /// Replaces a link by another one with the same number, as another process can (`TUNSETIFINDEX`).
    public func replace(_ link: ObservedLink) {
        condition.withLock {
            nextInode += 1
            devices[link.index] = link
            inodes[link.index] = nextInode
            (heard.touched, heard.removed) = (heard.touched.union([link.index]), heard.removed.union([link.index]))
            signal.isSet = true
            condition.signal()
        }
    }

    /// A number that no link has had before.
    public func freshIndex() -> LinkIndex {
        condition.withLock {
            nextIndex += 1
            return LinkIndex(rawValue: nextIndex)
        }
    }

    /// Makes the step fail from now on; `nil` makes it succeed again.
    public func fail(_ step: String, with errno: Errno?) {
        condition.withLock { failures[step] = errno }
    }

    /// The settings made through descriptors.
    public func settings(of index: LinkIndex) -> DescriptorSettings? { condition.withLock { settings[index] } }

    // MARK: KernelNamespace

    public var anchored: Set<LinkIndex> { condition.withLock { anchors } }

    public var isCurrent: Bool { condition.withLock { !isRemoved } }

    public func signals() throws(KernelError) -> KernelSignals {
        condition.withLock {
            defer { heard = KernelSignals() }
            return heard
        }
    }

    public func links() throws(KernelError) -> [ObservedLink] {
        condition.withLock {
            dumps += 1
            return Array(devices.values)
        }
    }

    /// What a test says is missing.
    public func missingAbility() -> KernelError? { condition.withLock { missing } }

    /// Takes an ability from the daemon, or gives it back.
    public func take(_ ability: KernelError?) { condition.withLock { missing = ability } }

    /// The number of full reads so far.
    public var dumpCount: Int { condition.withLock { dumps } }

    public func links(at indexes: [LinkIndex], outOf count: Int) throws(KernelError) -> [ObservedLink] {
        condition.withLock { indexes.compactMap { devices[$0] } }
    }

    public func inode(of link: ObservedLink, expecting expected: UInt64?) -> UInt64? {
        condition.withLock { devices[link.index].map { _ in inodes[link.index] ?? UInt64(link.index.rawValue) } }
    }

    public func finishRemoval(of index: LinkIndex) throws(KernelError) {}

    public func link(movedTo place: LinkMove) throws(KernelError) -> ObservedLink? { nil }

    public func delete(movedTo place: LinkMove) throws(KernelError) {}

    public func statistics() throws(KernelError) -> any LinkStatisticsSource { counters }

    public func ipDefaults() -> IPSettings? { Self.defaults }

    private static let defaults = IPSettings(
        acceptsIPv4Redirects: 1,
        ipv6: IPv6Settings(
            addressGeneration: 0, acceptsRouterAdvertisements: 1, autoconfiguration: 1, acceptsRedirects: 1,
            isDisabled: 0))

    public func addresses() throws(KernelError) -> [LinkIndex: [ObservedAddress]] {
        condition.withLock { addressesByLink }
    }

    public func settings(of link: ObservedLink) -> DescriptorSettings {
        condition.withLock { settings[link.index] } ?? DescriptorSettings(vnetHeaderSize: nil, offloads: nil)
    }

    public func perform(_ runs: inout [StepRun], before: (Step) -> Void) {
        condition.lock()
        defer { condition.unlock() }
        for position in runs.indices {
            while let step = runs[position].next {
                before(step)
                do throws(Errno) {
                    if let errno = failures[step.name] { throw errno }
                    runs[position].index = try perform(step, runs[position].name, runs[position].index)
                    runs[position].done += 1
                } catch {
                    runs[position].failure = KernelError(step.name, error)
                    if let index = runs[position].index, !anchors.contains(index) { close(index) }
                }
            }
        }
    }

    public func delete(_ indexes: [LinkIndex]) -> [LinkIndex: KernelError] {
        condition.withLock {
            if let errno = failures[Step.delete.name] {
                let error = KernelError(Step.delete.name, errno)
                return Dictionary(uniqueKeysWithValues: indexes.map { ($0, error) })
            }
            for index in indexes { remove(index) }
            return [:]
        }
    }

    public func mark(_ link: ObservedLink) {}

    public func abandon(_ index: LinkIndex) {
        condition.withLock { close(index) }
    }

    public func openQueues(of index: LinkIndex, _ opening: QueueOpening) throws(KernelError) -> OpenedQueues {
        throw KernelError("open_queue", .invalid)
    }

    public func setReceiveCPUs(_ cpus: [Int], of index: LinkIndex, at kernelIndex: Int) throws(KernelError) {}

    public func leave() {
        condition.withLock { for index in held { close(index) } }
    }

    private func perform(_ step: Step, _ name: DeviceName, _ index: LinkIndex?) throws(Errno) -> LinkIndex? {
        if case .create(let flags) = step { return try create(name, flags) }
        guard let index, var link = devices[index] else { throw .noDevice }
        heard.touched.insert(index)
        if needsDescriptor(step), !held.contains(index) { throw .invalid }
        switch step {
        case .attach(let flags, let carrier):
            if link.tun?.attachedQueues == 0, link.tun?.detachedQueues == 0 {
                link.tun?.packetInfo = flags.packetInfo
                link.tun?.vnetHeader = flags.vnetHeader
            }
            link.carrier = carrier || link.carrier
            held.insert(index)
        case .setOwner(let user): link.tun?.owner = user
        case .setGroup(let group): link.tun?.group = group
        case .setVnetHeaderSize(let size): settings[index]?.vnetHeaderSize = size
        case .setOffloads(let offloads): settings[index]?.offloads = offloads
        case .persist: link.tun?.persistent = true
        case .setQueueDiscipline(let discipline):
            link.queueDiscipline = discipline == .noqueue ? "noqueue" : "mq"
        case .setLink(let change): for attribute in change { try apply(attribute, to: &link) }
        case .restorePort(let settings): link.bridgePort += settings
        case .addAltNames(let names): link.altNames += names.map(\.text)
        case .removeAltNames(let names): link.altNames.removeAll { names.contains($0) }
        case .setIPv6(let settings):
            let mode = link.ip?.ipv6?.addressGeneration
            link.ip?.ipv6 = settings
            if let mode { link.ip?.ipv6?.addressGeneration = mode }
            if settings.isDisabled != 0 { addressesByLink[index]?.removeAll { $0.address.isIPv6 } }
        // The model learns none.
        case .removeLearnedRoutes: break
        case .addAddress(let address, _):
            guard !address.isIPv6 || link.ip?.ipv6?.isDisabled != 1 else { throw .accessDenied }
            addressesByLink[index, default: []].append(.init(address, origin: .tapster))
        case .removeAddress(let address): addressesByLink[index]?.removeAll { $0.address == address }
        case .anchor:
            anchors.insert(index)
            link.tun?.detachedQueues = 1
        case .setCarrier(let on):
            if on, !held.contains(index) || anchors.contains(index), link.tun?.attachedQueues == 0 {
                throw .noPermission
            }
            link.carrier = on
        case .release:
            close(index)
            return index
        case .create, .claim, .forget, .delete: throw .invalid
        }
        devices[index] = link
        return index
    }

    private func apply(_ attribute: LinkAttribute, to link: inout ObservedLink) throws(Errno) {
        switch attribute {
        case .name(let name): link.name = name.text
        case .mtu(let mtu):
            if mtu.value < 1_280 { link.ip?.ipv6 = nil } else if link.mtu < 1_280 { link.ip = Self.defaults }
            link.mtu = mtu.value
        case .macAddress(let address): link.macAddress = address
        case .transmitQueueLength(let length): link.transmitQueueLength = length.value
        case .alias(let alias): link.alias = alias?.text
        case .controller(.join(_, let controller)):
            guard devices[controller] != nil else { throw .noDevice }
            (link.controller, link.bridgePort) = (controller, [])
        case .controller(.leave): (link.controller, link.bridgePort) = (nil, [])
        case .ip(let settings):
            link.ip?.acceptsIPv4Redirects = settings.acceptsIPv4Redirects
            if let ipv6 = settings.ipv6 { link.ip?.ipv6?.addressGeneration = ipv6.addressGeneration }
        // The model never removes an address along with another one.
        case .promoteSecondaries: break
        case .up(let up): link.up = up
        case .gsoMaxBytes(let size):
            link.set(attribute)
            // As `netif_set_gso_max_size()` does.
            link.set(.gsoIPv4MaxBytes(size))
        case .gsoIPv4MaxBytes: link.set(attribute)
        }
    }

    private func create(_ name: DeviceName, _ flags: CreationFlags) throws(Errno) -> LinkIndex {
        guard !devices.values.contains(where: { $0.name == name.text }) else { throw .busy }
        nextIndex += 1
        var link = ObservedLink(index: LinkIndex(rawValue: nextIndex), name: name.text)
        link.kind = "tun"
        link.mtu = 1_500
        link.ip = Self.defaults
        link.transmitQueueLength = 1_000
        link.queueDiscipline = "noop"
        link.attributes = attributes
        var tun = ObservedTun(kind: flags.kind)
        tun.multiQueue = flags.multiQueue
        tun.packetInfo = flags.packetInfo
        tun.vnetHeader = flags.vnetHeader
        tun.attachedQueues = flags.multiQueue ? 0 : nil
        tun.detachedQueues = flags.multiQueue ? 0 : nil
        link.tun = tun
        devices[link.index] = link
        settings[link.index] = DescriptorSettings(vnetHeaderSize: nil, offloads: [])
        held.insert(link.index)
        heard.touched.insert(link.index)
        return link.index
    }

    private func needsDescriptor(_ step: Step) -> Bool {
        switch step {
        case .setOwner, .setGroup, .setVnetHeaderSize, .setOffloads, .persist, .anchor: true
        default: false
        }
    }

    private func close(_ index: LinkIndex) {
        held.remove(index)
        if anchors.remove(index) != nil { devices[index]?.tun?.detachedQueues = 0 }
        if devices[index]?.tun?.persistent == false { remove(index) }
    }

    private func remove(_ index: LinkIndex) {
        devices[index] = nil
        settings[index] = nil
        addressesByLink[index] = nil
        held.remove(index)
        anchors.remove(index)
        for other in devices.keys where devices[other]?.controller == index { devices[other]?.controller = nil }
        heard.touched.insert(index)
        heard.removed.insert(index)
    }
}

extension ObservedLink {
    /// Changes an attribute. One that the kernel does not have is ignored, as in rtnetlink.
    public mutating func set(_ attribute: LinkAttribute) {
        guard let place = attributes.firstIndex(where: { $0.setting.field == attribute.setting.field }) else { return }
        attributes[place] = attribute
    }
}
