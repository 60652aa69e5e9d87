import TapSystem
internal import TapCore

/// Deletes many devices in one call.
extension LinuxNamespace {
    /// How many random groups are tried until one has no other interface in it.
    private static let groupAttemptsMax = 4

    func delete(_ indexes: [LinkIndex]) -> [LinkIndex: KernelError] {
        if indexes.count == 1 {
            guard let refusal = netlink.change([.delete(indexes[0])])[0], refusal.errno != .noDevice else { return [:] }
            return [indexes[0]: KernelError(Step.delete.name, refusal)]
        }
        do throws(KernelError) {
            for _ in 0..<Self.groupAttemptsMax {
                // Random, so that no other process uses it by chance; 0 is every interface's default group.
                if let refused = try delete(indexes, as: UInt32.random(in: 1...UInt32.max)) { return refused }
            }
            throw KernelError(
                Step.delete.name, .busy, advice: "other interfaces were found in each of several random groups")
        } catch {
            return Dictionary(uniqueKeysWithValues: indexes.map { ($0, error) })
        }
    }

    func finishRemoval(of index: LinkIndex) throws(KernelError) {
        // The kernel takes its lock for network configuration, also if there is no such link.
        guard let refusal = netlink.change([.change(index, [])])[0], refusal.errno != .noDevice else { return }
        throw KernelError("finish_removal", refusal)
    }

    func link(movedTo place: LinkMove) throws(KernelError) -> ObservedLink? {
        do throws(NetlinkRefusal) { return try netlink.get(place) } catch { throw KernelError("observe", error) }
    }

    func delete(movedTo place: LinkMove) throws(KernelError) {
        guard let refusal = netlink.change([.delete(place.index, in: place.namespace)])[0], refusal.errno != .noDevice
        else { return }
        throw KernelError(Step.delete.name, refusal)
    }

    /// Moves the devices to a group of their own and deletes the group in one call: deleted one by one, each would wait
    /// 16 to 25 ms for the kernel's RCU readers.
    ///
    /// - Returns: The devices that could not be moved; `nil`, and no device is deleted, if the group has another
    ///   interface.
    /// - Throws: `KernelError` if the group cannot be read or deleted; the devices are moved out of it then.
    func delete(_ indexes: [LinkIndex], as group: UInt32) throws(KernelError) -> [LinkIndex: KernelError]? {
        var refused: [LinkIndex: KernelError] = [:]
        for (index, refusal) in zip(indexes, netlink.change(indexes.map { .setGroup($0, group) })) {
            if let refusal, refusal.errno != .noDevice { refused[index] = KernelError(Step.delete.name, refusal) }
        }
        let ours = Set(indexes)
        do throws(KernelError) {
            let members = try links().filter { $0.group == group }.map(\.index)
            guard members.allSatisfy(ours.contains) else {
                leaveGroup(indexes)
                return nil
            }
            if !members.isEmpty, let refusal = netlink.change([.deleteGroup(group)])[0], refusal.errno != .noDevice {
                throw KernelError(Step.delete.name, refusal)
            }
        } catch {
            leaveGroup(indexes)
            throw error
        }
        return refused
    }

    /// Moves the devices back to the default group, since firewall rules may match on groups.
    private func leaveGroup(_ indexes: [LinkIndex]) {
        _ = netlink.change(indexes.map { .setGroup($0, 0) })
    }
}
