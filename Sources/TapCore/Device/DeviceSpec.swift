/// The wanted state of a device. One that the kernel could not make true cannot exist.
///
/// Every field is the draft's, under the draft's name: `spec.kind`, `spec.link`.
@dynamicMemberLookup
public struct DeviceSpec: Hashable, Sendable {
    /// Checked, and with its offloads filled in.
    ///
    /// To read many fields, read them here: the compiler copies the whole draft for a key path.
    @usableFromInline package let draft: DeviceSpecDraft

    /// Inlined, so that a key path in the source becomes a plain load.
    @inlinable public subscript<Field>(dynamicMember field: KeyPath<DeviceSpecDraft, Field>) -> Field {
        draft[keyPath: field]
    }

    public var offloads: Offloads { draft.offloads ?? [] }

    /// - Throws: `SpecContradictions` with every pair of fields that cannot stand together.
    public init(_ draft: DeviceSpecDraft) throws(SpecContradictions) {
        var draft = draft
        if draft.offloads == nil { draft.offloads = draft.vnetHeader ? [.checksum, .tso4, .tso6] : [] }
        let found = draft.contradictions
        guard found.isEmpty else { throw SpecContradictions(found: found) }
        self.draft = draft
    }

    /// The fields that differ from `other` although the kernel fixes them when a device is created.
    public func immutableFieldsDiffering(from other: DeviceSpec) -> [DeviceField] {
        var fields: [DeviceField] = []
        if draft.networkNamespace != other.draft.networkNamespace { fields.append(.networkNamespace) }
        if draft.kind != other.draft.kind { fields.append(.kind) }
        if draft.queues.isMultiple != other.draft.queues.isMultiple { fields.append(.multiQueue) }
        if draft.packetInfo != other.draft.packetInfo { fields.append(.packetInfo) }
        if draft.vnetHeader != other.draft.vnetHeader { fields.append(.vnetHeader) }
        // TUNSETOWNER and TUNSETGROUP take no "nobody": once set, an owner can be changed but not cleared.
        if draft.access == .open {
            if draft.owner == nil, other.kernelOwnerIsSet { fields.append(.owner) }
            if draft.group == nil, other.draft.access == .open, other.draft.group != nil { fields.append(.group) }
        }
        return fields
    }

    /// A brokered device belongs to the daemon's user, an open one to whom its spec names.
    private var kernelOwnerIsSet: Bool { draft.access == .brokered || draft.owner != nil }
}
