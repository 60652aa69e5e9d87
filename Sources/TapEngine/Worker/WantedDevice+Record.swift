internal import TapCore
internal import TapStore

extension WantedDevice {
    /// Resolves a record's owner and group to numbers. A brokered device belongs to the daemon's user and group.
    ///
    /// - Parameters:
    ///   - record: The device's.
    ///   - claim: The proof that an interface is the device's; `nil` if there is none.
    ///   - accounts: Resolves the names.
    ///   - daemon: The daemon's user and group.
    ///   - replaced: The interface that is to be made anew; `nil`: none.
    /// - Throws: `ValidationError` if the owner or the group no longer exists on this host.
    init(
        _ record: DeviceRecord, claim: Claim?, accounts: any Accounts, daemon: (user: UInt32, group: UInt32),
        replaced: LinkIndex?
    ) throws(ValidationError) {
        let isReached = record.settledGeneration == record.generation
        let (owner, group) = try Self.resolve(record.spec, accounts, daemon)
        var reached: WantedDevice?
        if !isReached, let spec = record.reachedSpec, let principals = try? Self.resolve(spec, accounts, daemon) {
            reached = WantedDevice(
                name: record.name, identifier: record.identifier, spec: spec, owner: principals.owner,
                group: principals.group, claim: claim)
        }
        self.init(
            name: record.name, identifier: record.identifier, spec: record.spec,
            isDeletionRequested: record.deletionRequestedAt != nil, owner: owner, group: group, claim: claim,
            isReached: isReached, recreate: record.recreate, replaced: replaced, reached: reached)
    }

    private static func resolve(
        _ spec: DeviceSpec, _ accounts: any Accounts, _ daemon: (user: UInt32, group: UInt32)
    ) throws(ValidationError) -> (owner: UInt32?, group: UInt32?) {
        guard spec.access == .open else { return (daemon.user, daemon.group) }
        let owner = spec.owner.flatMap { accounts.userNumber($0) }
        if let principal = spec.owner, owner == nil {
            throw ValidationError("the owner '\(principal)' no longer exists on this host")
        }
        let group = spec.group.flatMap { accounts.groupNumber($0) }
        if let principal = spec.group, group == nil {
            throw ValidationError("the group '\(principal)' no longer exists on this host")
        }
        return (owner, group)
    }
}
