internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// One network namespace of the real kernel: its rtnetlink sockets, and the descriptors that the daemon holds of its
/// devices.
final class LinuxNamespace: KernelNamespace {
    let host: NamespaceIdentity
    private(set) var anchored: Set<LinkIndex> = []

    /// `nil` for the namespace that the thread is in.
    let handle: NamespaceHandle?
    let netlink: NetlinkSocket
    private let monitor: LinkMonitor
    private let manager: ServiceManager?
    private let marks: InterfaceMarks?
    /// Anchors, and the descriptors that the plans in progress use.
    private var held: [LinkIndex: TunQueue] = [:]
    /// The interfaces' files; `nil` until the first use.
    private var files: InterfaceFiles?

    /// - Parameters:
    ///   - location: The namespace's name or path; `nil` for the daemon's own.
    ///   - boot: The current boot's identifier (`/proc/sys/kernel/random/boot_id`).
    ///   - manager: The service manager that stores copies of anchors; `nil` if there is none.
    ///   - marks: Where Tapster's interfaces are marked; `nil` if they are not.
    ///   - kept: Descriptors of an earlier process, by name; the anchors of this namespace are removed from it.
    /// - Throws: `NamespaceFailure`.
    init(
        _ location: NetworkNamespace?, boot: String, manager: ServiceManager?, marks: InterfaceMarks?,
        kept: inout [String: OwnedDescriptor]
    ) throws(NamespaceFailure) {
        var handle: NamespaceHandle?
        if let location { handle = try NamespaceHandle(location) }
        do throws(Errno) {
            // The sockets belong to the namespace in which they are opened.
            let netlink = try handle.inside { () throws(Errno) in try NetlinkSocket() }
            monitor = try handle.inside { () throws(Errno) in try LinkMonitor() }
            var cookie: UInt64 = 0
            try systemCall { unsafe clinux_namespace_cookie(netlink.number, &cookie) }
            host = NamespaceIdentity(boot: boot, namespace: cookie)
            self.netlink = netlink
        } catch {
            throw .unusable(KernelError("open_namespace", error))
        }
        self.handle = handle
        self.manager = manager
        self.marks = marks
        restoreAnchors(from: &kept)
    }

    /// Takes over the anchors of an earlier process. Drops those whose device was removed or replaced meanwhile.
    private func restoreAnchors(from kept: inout [String: OwnedDescriptor]) {
        let prefix = Self.anchorPrefix(host)
        for (name, descriptor) in kept where name.hasPrefix(prefix) {
            kept[name] = nil
            let queue = TunQueue(taking: descriptor, keptBy: manager, as: name)
            if let number = Int32(name.dropFirst(prefix.count)), case let index = LinkIndex(rawValue: number),
                let state = try? queue.state(), !state.isAttached, (try? self.index(of: state.name)) == index
            {
                held[index] = queue
                anchored.insert(index)
            } else {
                queue.forget()
            }
        }
    }

    static let anchorPrefix = "anchor-"

    private static func anchorPrefix(_ host: NamespaceIdentity) -> String {
        anchorPrefix + String(host.namespace, radix: 16) + "-"
    }

    func setReceiveCPUs(_ cpus: [Int], of index: LinkIndex, at kernelIndex: Int) throws(KernelError) {
        do throws(Errno) {
            try interfaceFiles().setReceiveCPUs(cpus, of: try name(of: index), index: index, at: kernelIndex)
        } catch {
            throw KernelError("set_receive_cpus", error, advice: InterfaceFiles.advice(error))
        }
    }

    private func interfaceFiles() throws(Errno) -> InterfaceFiles {
        if let files { return files }
        let opened = try InterfaceFiles(in: handle)
        files = opened
        return opened
    }

    func inode(of link: ObservedLink, expecting expected: UInt64?) -> UInt64? {
        guard let files = try? interfaceFiles() else { return nil }
        if let expected, files.inode(of: link.name) == expected { return expected }
        // It may have been renamed since it was read, and another one may have its name.
        for _ in 0..<Self.renamesMax {
            guard let name = try? name(of: link.index) else { return nil }
            let inode = files.inode(of: name)
            if files.index(of: name) == link.index, (try? self.name(of: link.index)) == name { return inode }
        }
        return nil
    }

    /// How often an interface is looked up again that is renamed meanwhile.
    private static let renamesMax = 3

    func leave() {
        for index in held.keys { release(index) }
    }

    /// The link monitor's descriptor, for the event loop.
    var monitorNumber: Int32 { monitor.number }

    var isCurrent: Bool { handle?.isCurrent ?? true }

    func missingAbility() throws(KernelError) -> KernelError? {
        if handle == nil {
            do throws(Errno) { _ = try TunQueue.features() } catch {
                return KernelError("open_tun", error, advice: TunQueue.advice(error))
            }
        }
        // A change of no interface. The kernel first checks the capability, over the user namespace that owns the
        // network namespace (`rtnetlink_rcv_msg()`), and only then refuses the request itself, with EINVAL.
        let refusal = netlink.change([.change(LinkIndex(rawValue: 0), [])]).first ?? nil
        guard let refusal, refusal.errno != .invalid else { return nil }
        guard refusal.errno == .noPermission else { throw KernelError("change_links", refusal) }
        return KernelError(
            "change_links", refusal.errno,
            advice: "the daemon lacks CAP_NET_ADMIN over \(handle == nil ? "its" : "a wanted") network namespace")
    }

    func signals() throws(KernelError) -> KernelSignals {
        var signals = KernelSignals()
        do throws(Errno) { try monitor.drain(into: &signals) } catch { throw KernelError("wait", error) }
        return signals
    }

    func links() throws(KernelError) -> [ObservedLink] {
        do throws(NetlinkRefusal) { return addingAnchorSettings(to: try netlink.links(among: nil)) } catch {
            throw KernelError("observe", error)
        }
    }

    /// A dump of up to this many interfaces is considered as cheap as a request for one. On such a request the kernel
    /// first completes a pending carrier change (`linkwatch_sync_dev()`), which takes some 80 µs on a new multiqueue
    /// device; a dump takes 2 µs for each interface and leaves that to a kernel worker.
    private static let requestsPerDumpedLink = 16

    func links(at indexes: [LinkIndex], outOf count: Int) throws(KernelError) -> [ObservedLink] {
        do throws(NetlinkRefusal) {
            let isDumpCheaper = indexes.count > 1 && indexes.count * Self.requestsPerDumpedLink > count
            return addingAnchorSettings(
                to: isDumpCheaper ? try netlink.links(among: Set(indexes)) : try netlink.get(indexes))
        } catch {
            throw KernelError("observe", error)
        }
    }

    func addresses() throws(KernelError) -> [LinkIndex: [ObservedAddress]] {
        do throws(NetlinkRefusal) {
            return Dictionary(grouping: try netlink.addresses(), by: \.0).mapValues { $0.map(\.1) }
        } catch {
            throw KernelError("observe", error)
        }
    }

    /// Adds the vnet header sizes, which only an anchor can report, and the offloads.
    private func addingAnchorSettings(to links: [ObservedLink]) -> [ObservedLink] {
        guard !anchored.isEmpty else { return links }
        var links = links
        for position in links.indices where links[position].tun?.vnetHeader == true {
            guard anchored.contains(links[position].index), let queue = held[links[position].index] else { continue }
            links[position].tun?.vnetHeaderSize = try? queue.vnetHeaderSize()
            let name = links[position].name
            links[position].tun?.offloads = offloads(of: name)?.asShown
        }
        return links
    }

    func settings(of link: ObservedLink) -> DescriptorSettings {
        var settings = DescriptorSettings(vnetHeaderSize: nil, offloads: offloads(of: link.name))
        guard let tun = link.tun, tun.vnetHeader else { return settings }
        // Attaches one more queue for a moment. With the device's own flags this changes nothing.
        let flags = CreationFlags(
            kind: tun.kind, multiQueue: tun.multiQueue, packetInfo: tun.packetInfo, vnetHeader: tun.vnetHeader)
        let hasQueues = (tun.attachedQueues ?? 0) + (tun.detachedQueues ?? 0) > 0
        guard
            let queue = try? TunQueue(
                attachingTo: link.name, flags: flags, carrier: hasQueues && link.carrier, in: handle),
            (try? index(of: link.name)) == link.index, let size = try? queue.vnetHeaderSize()
        else { return settings }
        settings.vnetHeaderSize = try? VnetHeaderSize(size)
        return settings
    }

    /// The offloads, which the kernel keeps among the interface's features, as ethtool(8) shows them; `nil` if they
    /// cannot be read.
    func offloads(of name: String) -> Offloads? {
        var bits: UInt32 = 0
        let socket = netlink.number
        guard (try? systemCall { unsafe clinux_tun_offloads(socket, name, &bits) }) != nil else { return nil }
        let offloads = Offloads(rawValue: bits)
        return offloads.contradiction == nil ? offloads : []
    }

    // MARK: Steps

    func perform(_ runs: inout [StepRun], before: (Step) -> Void) {
        var isWorking = true
        while isWorking {
            isWorking = false
            for position in runs.indices where performOnDescriptor(&runs[position], before) { isWorking = true }
            if performTogether(&runs, before) { isWorking = true }
        }
        for run in runs where run.failure != nil {
            // A descriptor left open would be a queue that is never read. Closing it also removes a device that is not
            // persistent yet.
            if let index = run.index, !anchored.contains(index) { held[index] = nil }
        }
    }

    /// Performs a run's steps up to the next link change.
    ///
    /// - Returns: Whether it has performed any.
    private func performOnDescriptor(_ run: inout StepRun, _ before: (Step) -> Void) -> Bool {
        let start = run.done
        while let step = run.next, !step.isLinkChange {
            before(step)
            do throws(Errno) {
                run.index = try perform(step, name: run.name, index: run.index)
                run.done += 1
            } catch {
                run.failure = KernelError(step.name, error, advice: Self.advice(for: step, error))
            }
        }
        return run.done > start
    }

    /// Performs the next link changes of all runs in one send.
    ///
    /// - Returns: Whether there were any.
    private func performTogether(_ runs: inout [StepRun], _ before: (Step) -> Void) -> Bool {
        var requests: [LinkRequest] = []
        var places: [Int] = []
        for position in runs.indices where runs[position].failure == nil {
            guard let index = runs[position].index else { continue }
            for step in runs[position].steps[runs[position].done...] {
                guard let request = LinkRequest(step, on: index) else { break }
                before(step)
                requests.append(request)
                places.append(position)
            }
        }
        guard !requests.isEmpty else { return false }
        for (place, refusal) in zip(places, netlink.change(requests)) where runs[place].failure == nil {
            let step = runs[place].steps[runs[place].done]
            if let refusal, !refusal.isHarmless(for: step) {
                runs[place].failure = KernelError(step.name, refusal, advice: Self.advice(for: step, refusal.errno))
            } else {
                runs[place].done += 1
            }
        }
        return true
    }

    private func perform(_ step: Step, name: DeviceName, index: LinkIndex?) throws(Errno) -> LinkIndex? {
        if case .create(let flags) = step {
            return try create(name, flags)
        }
        guard let index else { throw .noDevice }
        switch step {
        case .attach(let flags, let carrier): try attach(to: index, flags, carrier: carrier)
        case .release: release(index)
        case .setOwner(let user): try queue(index).setOwner(user)
        case .setGroup(let group): try queue(index).setGroup(group)
        case .setVnetHeaderSize(let size): try queue(index).setVnetHeaderSize(size)
        case .setOffloads(let offloads):
            // The step follows a consumer that may have set more than the offloads.
            try queue(index).reset()
            try queue(index).setOffloads(offloads)
        case .persist: try queue(index).persist()
        case .setIPv6(let settings): try setIPv6(settings, of: index)
        case .removeLearnedRoutes: try removeLearnedRoutes(of: index)
        case .anchor:
            try queue(index).setAttached(false)
            if let manager {
                try queue(index).keep(as: Self.anchorPrefix(host) + String(index.rawValue), with: manager)
            }
            anchored.insert(index)
        // Performed by an rtnetlink message, by the store, or for many devices together.
        case .create, .setQueueDiscipline, .setLink, .restorePort, .addAltNames, .removeAltNames, .addAddress,
            .removeAddress, .setCarrier, .claim, .forget, .delete:
            throw .invalid
        }
        return index
    }

    private func create(_ name: DeviceName, _ flags: CreationFlags) throws(Errno) -> LinkIndex {
        marks?.add(name.text)
        do throws(Errno) {
            let queue = try TunQueue(creating: name, flags: flags, in: handle)
            let index = try index(of: name.text)
            held[index] = queue
            marks?.add(name.text, of: index)
            return index
        } catch {
            marks?.remove(name.text)
            throw error
        }
    }

    func mark(_ link: ObservedLink) {
        marks?.add(link.name, of: link.index)
    }

    private func attach(to index: LinkIndex, _ flags: CreationFlags, carrier: Bool) throws(Errno) {
        let name = try name(of: index)
        let queue = try TunQueue(attachingTo: name, flags: flags, carrier: carrier, in: handle)
        // The device may have been removed between the two calls. Then this queue has created another one, which the
        // kernel removes when the queue is closed.
        guard try self.index(of: name) == index else { throw .noDevice }
        held[index] = queue
    }

    func abandon(_ index: LinkIndex) {
        marks?.remove(index)
        release(index)
    }

    private func release(_ index: LinkIndex) {
        held.removeValue(forKey: index)?.forget()
        anchored.remove(index)
    }

    private func queue(_ index: LinkIndex) throws(Errno) -> TunQueue {
        guard let queue = held[index] else { throw .noDevice }
        return queue
    }

    func index(of name: String) throws(Errno) -> LinkIndex {
        var index: Int32 = 0
        let socket = netlink.number
        try systemCall { unsafe clinux_interface_index(socket, name, &index) }
        return LinkIndex(rawValue: index)
    }

    func name(of index: LinkIndex) throws(Errno) -> String {
        var bytes = [CChar](repeating: 0, count: DeviceName.bytesMax + 1)
        let socket = netlink.number
        let number = index.rawValue
        // SAFETY: the shim writes IFNAMSIZ bytes.
        try systemCall { unsafe clinux_interface_name(socket, number, &bytes) }
        let text: [UInt8] = bytes.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func advice(for step: Step, _ errno: Errno) -> String? {
        switch (step, errno) {
        case (.create, .busy), (.create, .exists):
            "an interface of this name exists; it may just have been created"
        case (.create, .noPermission): "the daemon needs CAP_NET_ADMIN"
        case (.create, .accessDenied), (.attach, .accessDenied), (.create, .noEntry), (.create, .noDevice):
            TunQueue.advice(errno)
        case (.attach, .busy): "another process holds the only queue of this single-queue device"
        case (.setOffloads, .invalid): "this kernel does not support one of the offloads; uso4 and uso6 need Linux 6.2"
        case (.addAltNames, .exists): "another interface has one of the names"
        case (.setLink(let change), .full) where change.controller != nil:
            "the bridge already has the kernel's maximum of \(Obstacle.bridgePortsMax) ports"
        case (.setLink(let change), .busy) where change.controller != nil:
            "another interface receives the device's packets already, such as a macvlan or an ipvlan on top of it; "
                + "remove that ('ip -d link')"
        case (.setLink(let change), .outOfRange) where change.setsTransmitQueueLength:
            "this kernel accepts only a smaller txQueueLength; some kernels accept at most 32767"
        case (.addAddress(let address, _), .noPermission), (.addAddress(let address, _), .accessDenied):
            "the kernel refuses \(address); check whether IPv6 is disabled on the interface (net.ipv6.conf)"
        case (.setIPv6, _): ipv6Advice(errno)
        case (_, .tooManyOpenFiles): "raise the limit of open files (LimitNOFILE=)"
        case (_, .badMessage): "the kernel accepted the value but reports another one"
        default: nil
        }
    }
}
