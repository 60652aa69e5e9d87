import Foundation
import TapCore

/// A kernel in memory, for what needs no root: properties of plans, and the API. It does what tun and rtnetlink do,
/// as far as plans can tell.
public final class ModelKernel: Kernel, @unchecked Sendable {
    // Unchecked: everything mutable is only touched while `condition` is locked.

    private final class Signal: Waker, @unchecked Sendable {
        let condition = NSCondition()
        var isSet = false

        func wake() {
            condition.withLock {
                isSet = true
                condition.signal()
            }
        }
    }

    public let host: HostIdentity
    public let daemonUser: UInt32 = 0
    private let signal = Signal()
    private var condition: NSCondition { signal.condition }
    private var devices: [LinkIndex: ObservedLink] = [:]
    private var settings: [LinkIndex: DescriptorSettings] = [:]
    private var held: Set<LinkIndex> = []
    private var anchors: Set<LinkIndex> = []
    private var nextIndex: Int32 = 2
    private var touched: Set<LinkIndex> = []
    private var failures: [String: Errno] = [:]

    public init(boot: String = "boot") {
        host = HostIdentity(boot: boot, namespace: 1)
    }

    public var waker: any Waker { signal }
    public var anchored: Set<LinkIndex> { condition.withLock { anchors } }

    // MARK: What a test does to it

    /// Every device, as a look would show it.
    public var table: [ObservedLink] { condition.withLock { Array(devices.values) } }

    /// Changes a link behind the daemon's back; nothing removes it.
    public func change(_ name: String, _ body: (inout ObservedLink?) -> Void) {
        condition.withLock {
            let index = devices.values.first { $0.name == name }?.index
            var link = index.flatMap { devices[$0] }
            body(&link)
            if let link {
                devices[link.index] = link
                touched.insert(link.index)
            } else if let index {
                remove(index)
            }
            signal.isSet = true
            condition.signal()
        }
    }

    /// A number that no link has had.
    public func freshIndex() -> LinkIndex {
        condition.withLock {
            nextIndex += 1
            return LinkIndex(rawValue: nextIndex)
        }
    }

    /// From now on the step fails, until told otherwise.
    public func fail(_ step: String, with errno: Errno?) {
        condition.withLock { failures[step] = errno }
    }

    /// What was set through descriptors.
    public func settings(of index: LinkIndex) -> DescriptorSettings? { condition.withLock { settings[index] } }

    // MARK: Kernel

    public func links() throws(KernelError) -> [ObservedLink] { condition.withLock { Array(devices.values) } }

    public func links(at indexes: [LinkIndex]) throws(KernelError) -> [ObservedLink] {
        condition.withLock { indexes.compactMap { devices[$0] } }
    }

    public func perform(
        _ steps: some Sequence<Step>, on name: DeviceName, at index: LinkIndex?
    ) throws(KernelError) -> LinkIndex? {
        condition.lock()
        defer { condition.unlock() }
        var index = index
        for step in steps {
            if let errno = failures[step.name] {
                if let index, !anchors.contains(index) { close(index) }
                throw KernelError(step.name, errno)
            }
            do throws(Errno) {
                index = try perform(step, name, index)
            } catch {
                throw KernelError(step.name, error)
            }
        }
        return index
    }

    public func abandon(_ index: LinkIndex) {
        condition.withLock { close(index) }
    }

    public func wait(until deadline: ContinuousClock.Instant?) throws(KernelError) -> KernelSignals {
        condition.withLock {
            while !signal.isSet, deadline.map({ ContinuousClock.now < $0 }) ?? true {
                let left = deadline.map { ContinuousClock.now.duration(to: $0) } ?? .seconds(3_600)
                let seconds = Double(left.components.seconds) + Double(left.components.attoseconds) / 1e18
                _ = condition.wait(until: Date(timeIntervalSinceNow: seconds))
            }
            signal.isSet = false
            var signals = KernelSignals()
            signals.touched = touched
            touched = []
            return signals
        }
    }

    private func perform(_ step: Step, _ name: DeviceName, _ index: LinkIndex?) throws(Errno) -> LinkIndex? {
        if case .create(let flags) = step { return try create(name, flags) }
        guard let index, var link = devices[index] else { throw .noDevice }
        touched.insert(index)
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
        case .setLink(let change):
            if let name = change.name { link.name = name.text }
            if let mtu = change.mtu { link.mtu = mtu.value }
            if let address = change.macAddress { link.macAddress = address }
            if let length = change.transmitQueueLength { link.transmitQueueLength = length.value }
            if let up = change.up { link.up = up }
        case .anchor:
            anchors.insert(index)
            link.tun?.detachedQueues = 1
        case .setCarrier(let on): link.carrier = on
        case .release:
            close(index)
            return index
        case .delete:
            remove(index)
            return index
        case .create, .claim, .forget: throw .invalid
        }
        devices[index] = link
        return index
    }

    private func create(_ name: DeviceName, _ flags: CreationFlags) throws(Errno) -> LinkIndex {
        guard !devices.values.contains(where: { $0.name == name.text }) else { throw .busy }
        nextIndex += 1
        var link = ObservedLink(index: LinkIndex(rawValue: nextIndex), name: name.text)
        link.kind = "tun"
        link.mtu = 1_500
        link.transmitQueueLength = 1_000
        link.queueDiscipline = "noop"
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
        touched.insert(link.index)
        return link.index
    }

    private func needsDescriptor(_ step: Step) -> Bool {
        switch step {
        case .setOwner, .setGroup, .setVnetHeaderSize, .setOffloads, .persist, .anchor, .setCarrier:
            true
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
        held.remove(index)
        anchors.remove(index)
        touched.insert(index)
    }
}
