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
        var owner: UInt32?
        var group: UInt32?
        switch record.spec.access {
        case .brokered: (owner, group) = (daemon.user, daemon.group)
        case .open:
            if let principal = record.spec.owner {
                owner = accounts.userNumber(principal)
                if owner == nil { throw ValidationError("the owner '\(principal)' no longer exists on this host") }
            }
            if let principal = record.spec.group {
                group = accounts.groupNumber(principal)
                if group == nil { throw ValidationError("the group '\(principal)' no longer exists on this host") }
            }
        }
        self.init(
            name: record.name, identifier: record.identifier, spec: record.spec,
            isDeletionRequested: record.deletionRequestedAt != nil, owner: owner, group: group, claim: claim,
            isReached: record.settledGeneration == record.generation, recreate: record.recreate, replaced: replaced)
    }
}
