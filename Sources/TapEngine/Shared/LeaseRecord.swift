package import TapCore
internal import TapStore
internal import TapSystem

/// What is known of a lease when it is granted, and stays so until its end.
package struct LeaseRecord: Hashable, Sendable {
    package let id: LeaseIdentifier
    package let device: DeviceName
    /// The device's `uid`: another device of its name may come.
    package let identifier: String
    package let place: LeasePlace
    /// Who has asked for the queues, by the name that assignments use.
    package let consumer: ConsumerName?
    /// As the kernel told them of the peer when it connected (`SO_PEERCRED`, unix(7)).
    package let process: Int32
    package let user: UInt32
    package let group: UInt32
    package let since: Timestamp
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
package struct LeasePlace: Hashable, Sendable {
    /// The namespace's cookie.
    package let namespace: UInt64
    package let index: LinkIndex

    package init(namespace: UInt64, index: LinkIndex) {
        self.namespace = namespace
        self.index = index
    }

    /// `nil` when the device has no interface now.
    package init?(_ claim: Claim?) {
        guard let claim, !claim.isLost else { return nil }
        self.init(namespace: claim.host.namespace, index: claim.index)
    }
}
