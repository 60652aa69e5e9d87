package import TapCore
internal import TapStore
internal import TapSystem

/// The facts of a lease that are set when it is granted and do not change.
package struct LeaseRecord: Hashable, Sendable {
    /// Identifies the lease over the daemon's restarts.
    package let id: LeaseIdentifier
    /// The device whose queues are leased.
    package let device: DeviceName
    /// The device's `uid`, since a later device may have the same name.
    let identifier: String
    /// The interface at the time of the grant.
    let place: LeasePlace
    /// The consumer's name, as in assignments; `nil` if the request named none.
    package let consumer: ConsumerName?
    /// The client's process, user and group when it connected (`SO_PEERCRED`, unix(7)).
    let process: Int32
    let user: UInt32
    let group: UInt32
    /// The user's name; `nil` if it has none.
    let userName: String?
    /// The process's name when the lease was requested; `nil` if it could not be read. The process itself sets it.
    let command: String?
    let since: Timestamp
}

/// A type with a lease record, whose fields it offers as its own.
@dynamicMemberLookup
package protocol LeaseRecordHolder {
    /// The lease's facts.
    var record: LeaseRecord { get }
}

extension LeaseRecordHolder {
    /// A field of the record.
    package subscript<Value>(dynamicMember field: KeyPath<LeaseRecord, Value>) -> Value { record[keyPath: field] }
}

/// The interface whose queues are leased.
struct LeasePlace: Hashable, Sendable {
    /// The namespace's cookie (`SO_NETNS_COOKIE`).
    let namespace: UInt64
    let index: LinkIndex

    init(namespace: UInt64, index: LinkIndex) {
        self.namespace = namespace
        self.index = index
    }

    /// The claimed interface; `nil` if the device has none now.
    init?(_ claim: Claim?) {
        guard let claim, !claim.isLost else { return nil }
        self.init(namespace: claim.host.namespace, index: claim.index)
    }
}
