internal import TapCore
internal import TapDocument
internal import TapStore

/// Checks whether the interfaces of claims are still those for which the claims were written, before anything is done
/// to them. It costs one system call for each device when the daemon starts, and afterwards only where the kernel has
/// reported that an interface was removed.
struct ClaimCheck {
    /// The changed claims, with their devices.
    private(set) var changed: [(view: DeviceView, claim: Claim)] = []
    /// Interfaces that are not ours, to be reported.
    private(set) var events: [EventRecord] = []

    private let namespaces: NamespaceStates
    private let accounts: AccountCache
    private let kernel: any Kernel

    init(_ namespaces: NamespaceStates, accounts: AccountCache, kernel: any Kernel) {
        self.namespaces = namespaces
        self.accounts = accounts
        self.kernel = kernel
    }

    /// Checks the claims of some devices, as far as their namespaces are open.
    mutating func check(_ views: some Sequence<DeviceView>) {
        for view in views {
            guard let claim = view.record.claim, let namespace = namespaces.all[claim.namespace],
                namespace.observed.host == claim.host, let link = namespace.observed[claim.index],
                !namespace.isProven(claim.index)
            else { continue }
            if claim.isLost {
                restore(claim, of: view, link, at: namespace)
            } else {
                check(claim, of: view, link, at: namespace)
            }
        }
    }

    /// Makes a lost claim valid again if its interface is back, which was in another namespace.
    private mutating func restore(
        _ lost: Claim, of view: DeviceView, _ link: ObservedLink, at namespace: NamespaceState
    ) {
        guard let inode = lost.inode, namespace.observed.owners[link.index] == nil,
            namespace.kernel.inode(of: link, expecting: inode) == inode
        else { return }
        var claim = lost
        claim.isLost = false
        namespace.prove(claim.index)
        changed.append((view, claim))
    }

    private mutating func check(_ old: Claim, of view: DeviceView, _ link: ObservedLink, at namespace: NamespaceState) {
        var claim = old
        let inode = namespace.kernel.inode(of: link, expecting: claim.inode)
        if isOwn(link, inode, view.record, at: namespace) {
            namespace.prove(claim.index)
            claim.inode = claim.inode ?? inode
        } else {
            claim.isLost = true
            namespace.disown([claim.index])
            events.append(
                EventRecord(
                    at: .now(), device: view.record.name, severity: .warning, reason: .interfaceReplaced,
                    message: "interface \(link.index.rawValue) ('\(link.name)') is not the device's: that one was "
                        + "removed, and another process gave its number to this one, which is left unchanged"))
        }
        if claim != old { changed.append((view, claim)) }
    }

    private func isOwn(
        _ link: ObservedLink, _ inode: UInt64?, _ record: DeviceRecord, at namespace: NamespaceState
    ) -> Bool {
        // An account that no longer exists is reported when the device is reconciled.
        let wanted =
            (try? WantedDevice(
                record, claim: record.claim, accounts: accounts, daemon: (kernel.daemonUser, kernel.daemonGroup),
                replaced: nil))
            ?? WantedDevice(name: record.name, identifier: record.identifier, spec: record.spec, claim: record.claim)
        return wanted.isOwn(
            link, inode: inode, wasRemoved: namespace.wasRemoved(link.index),
            isAnchored: namespace.observed.anchored.contains(link.index))
    }
}
