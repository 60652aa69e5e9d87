/// The wanted state of a device, checked for combinations that the kernel would refuse.
///
/// The fields are those of `DeviceSpecDraft`: `spec.kind`, `spec.link`.
@dynamicMemberLookup
public struct DeviceSpec: Hashable, Sendable {
    /// Checked; `offloads` is not `nil`.
    ///
    /// Code that reads many fields reads them here: the compiler copies the whole draft for each key path, which made
    /// an apply of 20 devices 3 % dearer (callgrind).
    @usableFromInline package let draft: DeviceSpecDraft

    /// A field of the draft.
    @inlinable public subscript<Field>(dynamicMember field: KeyPath<DeviceSpecDraft, Field>) -> Field {
        draft[keyPath: field]
    }

    /// The draft's, or the default for its `vnetHeader`.
    public var offloads: Offloads { draft.offloads ?? [] }

    /// - Throws: `SpecContradictions` with every combination of fields that the kernel or Tapster cannot fulfil.
    public init(_ draft: DeviceSpecDraft) throws(SpecContradictions) {
        var draft = draft
        if draft.offloads == nil { draft.offloads = draft.vnetHeader ? [.checksum, .tso4, .tso6] : [] }
        let found = draft.contradictions
        guard found.isEmpty else { throw SpecContradictions(found: found) }
        self.draft = draft
    }

    /// The fields that differ from `other` and that the kernel fixes when a device is created.
    public func immutableFieldsDiffering(from other: DeviceSpec) -> [DeviceField] {
        var fields: [DeviceField] = []
        if draft.networkNamespace != other.draft.networkNamespace { fields.append(.networkNamespace) }
        if draft.kind != other.draft.kind { fields.append(.kind) }
        if draft.queues.isMultiple != other.draft.queues.isMultiple { fields.append(.multiQueue) }
        if draft.packetInfo != other.draft.packetInfo { fields.append(.packetInfo) }
        if draft.vnetHeader != other.draft.vnetHeader { fields.append(.vnetHeader) }
        // TUNSETOWNER and TUNSETGROUP cannot unset: once set, an owner can be changed but not cleared.
        if draft.access == .open {
            if draft.owner == nil, other.kernelOwnerIsSet { fields.append(.owner) }
            if draft.group == nil, other.draft.access == .open, other.draft.group != nil { fields.append(.group) }
        }
        return fields
    }

    /// The kernel's owner of a brokered device is the daemon's user, that of an open one the spec's `owner`.
    private var kernelOwnerIsSet: Bool { draft.access == .brokered || draft.owner != nil }
}
