import TapSystem
internal import TapCore

/// Deletes many devices in one call.
extension LinuxNamespace {
    /// How often another group is tried when somebody else's device is found in ours.
    private static let groupAttemptsMax = 4

    func delete(_ indexes: [LinkIndex]) -> [LinkIndex: KernelError] {
        if indexes.count == 1 {
            guard let refusal = netlink.change([.delete(indexes[0])])[0], refusal.errno != .noDevice else { return [:] }
            return [indexes[0]: KernelError(Step.delete.name, refusal)]
        }
        do throws(KernelError) {
            for _ in 0..<Self.groupAttemptsMax {
                // At random, so that nobody meets it by chance; zero is everybody's.
                if let refused = try delete(indexes, as: UInt32.random(in: 1...UInt32.max)) { return refused }
            }
            throw KernelError(
                Step.delete.name, .busy, advice: "interfaces of others were found in each of several private groups")
        } catch {
            return Dictionary(uniqueKeysWithValues: indexes.map { ($0, error) })
        }
    }

    /// Puts the devices into a group of their own and deletes that in one call: one by one, each would wait 16 to 25 ms
    /// for the kernel's readers.
    ///
    /// - Returns: Those that could not be put there; `nil`, and no device is deleted, if the group has a device that is
    ///   not among them.
    /// - Throws: `KernelError` when the group cannot be looked at or deleted; no device is in it then.
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

    /// Back to the group of everybody, which firewalls may go by.
    private func leaveGroup(_ indexes: [LinkIndex]) {
        _ = netlink.change(indexes.map { .setGroup($0, 0) })
    }
}
