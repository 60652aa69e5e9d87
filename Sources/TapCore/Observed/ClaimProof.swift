/// Whether an interface with the number of a claim is the one for which the claim was written.
extension WantedDevice {
    /// An interface's number proves nothing: another process can give it to its own interface (`TUNSETIFINDEX`) once
    /// ours is gone. The inode does, since the kernel never uses it again. Where one of the two inodes is unknown, the
    /// interface is refused if it contradicts the device in what is fixed at creation, or in two other respects: each
    /// alone may be drift.
    ///
    /// - Parameters:
    ///   - link: The interface that has the claim's number now.
    ///   - inode: Its inode; `nil` if the daemon cannot read it.
    ///   - wasRemoved: Whether the kernel has reported that the interface with the number was removed.
    ///   - isAnchored: Whether the daemon holds a descriptor of it.
    /// - Returns: False if the interface must be left alone.
    public func isOwn(_ link: ObservedLink, inode: UInt64?, wasRemoved: Bool, isAnchored: Bool) -> Bool {
        guard let claim, !claim.isLost, link.tun != nil else { return false }
        if let inode, let own = claim.inode { return inode == own }
        if wasRemoved { return false }
        return isAnchored || resembles(link)
    }

    /// Whether an interface contradicts the device in no more than one respect.
    public func resembles(_ link: ObservedLink) -> Bool {
        guard let tun = link.tun else { return false }
        var contradictions = [link.name != name.text, !tun.persistent]
        // A spec that the kernel has never had says nothing about the interface.
        if isReached {
            if tun.kind != spec.kind || tun.multiQueue != spec.queues.isMultiple { return false }
            if let macAddress { contradictions.append(link.macAddress != macAddress) }
            if let owner { contradictions.append(tun.owner != owner) }
        }
        return contradictions.filter { $0 }.count <= 1
    }
}
