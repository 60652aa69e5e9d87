package import TapCore
internal import TapStore
internal import TapSystem

/// What is known of a lease when it is granted, and stays so until its end.
package struct LeaseRecord: Hashable, Sendable {
    package let id: LeaseIdentifier
    package let device: DeviceName
    /// The device's `uid`: another device of its name may come.
    let identifier: String
    let place: LeasePlace
    /// Who has asked for the queues, by the name that assignments use.
    package let consumer: ConsumerName?
    /// As the kernel told them of the peer when it connected (`SO_PEERCRED`, unix(7)).
    let process: Int32
    let user: UInt32
    let group: UInt32
    let since: Timestamp
}

/// Has a lease's record, and shows the record's fields as its own.
@dynamicMemberLookup
package protocol LeaseRecordHolder {
    var record: LeaseRecord { get }
}

extension LeaseRecordHolder {
    package subscript<Value>(dynamicMember field: KeyPath<LeaseRecord, Value>) -> Value { record[keyPath: field] }
}

/// The interface whose queues they are.
struct LeasePlace: Hashable, Sendable {
    /// The namespace's cookie.
    let namespace: UInt64
    let index: LinkIndex

    init(namespace: UInt64, index: LinkIndex) {
        self.namespace = namespace
        self.index = index
    }

    /// `nil` when the device has no interface now.
    init?(_ claim: Claim?) {
        guard let claim, !claim.isLost else { return nil }
        self.init(namespace: claim.host.namespace, index: claim.index)
    }
}
