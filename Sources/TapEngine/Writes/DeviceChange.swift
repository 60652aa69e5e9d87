package import TapCore
package import TapDocument
package import TapStore

/// The change of one device that a request results in.
package enum DeviceChange {
    case create(DeviceRecord)
    case update(DeviceRecord, from: DeviceRecord)
    /// A deleted or deleting device is restored as it was, with its queue assignments.
    case restore(DeviceRecord)
    /// Queue assignments change, or queues are enabled or disabled; spec and revision stay.
    case queues(DeviceRecord, from: DeviceRecord)
    /// The device is marked for deletion, and otherwise unchanged.
    case delete(DeviceRecord)
    case nothing(DeviceRecord)

    /// The record after the change.
    package var record: DeviceRecord {
        switch self {
        case .create(let record), .update(let record, _), .restore(let record), .queues(let record, _),
            .delete(let record), .nothing(let record):
            record
        }
    }

    /// Which leases the change ends; `nil` if it ends none.
    var endedLeases: ((LeaseView) -> Bool)? {
        switch self {
        case .delete: return { _ in true }
        case .update(let record, _):
            if record.recreate || record.spec.access != .brokered { return { _ in true } }
            return { lease in lease.indexes.contains { !record.queues.contains($0) } }
        case .create, .restore, .queues, .nothing: return nil
        }
    }

    var isChange: Bool {
        if case .nothing = self { false } else { true }
    }
}

extension DeviceChange {
    /// Creates a device, or changes an existing one to `input`.
    ///
    /// - Parameters:
    ///   - old: The existing device; `nil` if there is none.
    ///   - input: The wanted device.
    ///   - recreate: Whether the interface may be recreated for a field that is fixed at creation.
    /// - Returns: The change to write.
    /// - Throws: `Refusal` if the device is being deleted, its version is not the expected one, or the change is
    ///   not possible.
    package static func change(
        _ old: DeviceView?, to input: DeviceInput, recreate: Bool
    ) throws(Refusal) -> DeviceChange {
        guard let old else {
            if let version = input.resourceVersion { throw .staleResourceVersion(found: version, current: 0) }
            return .create(
                DeviceRecord(
                    name: input.name, identifier: .random(), labels: input.labels, spec: input.spec, createdAt: .now()))
        }
        var record = old.record
        guard record.deletionRequestedAt == nil else { throw .deviceDeleting(record.name) }
        if let version = input.resourceVersion, version != record.revision {
            throw .staleResourceVersion(found: version, current: record.revision)
        }
        let fixed = input.spec.immutableFieldsDiffering(from: record.spec)
        guard fixed.isEmpty || recreate else { throw .immutableFields(fixed) }
        let unplaced = record.assignments(beyond: input.spec.queues)
        guard unplaced.isEmpty else { throw .queuesTaken(record.name, unplaced, wanted: input.spec.queues) }
        // An external change may have altered a field that is fixed at creation, or another process may get packets.
        let isFixedInKernel = old.status[.ready]?.reason == EventReason.immutableField.rawValue
        let hasStrangers = (old.status.strayQueues?.attached ?? 0) > 0
        let recreates = recreate && (!fixed.isEmpty || isFixedInKernel || hasStrangers)
        guard recreates || record.spec != input.spec || record.labels != input.labels else { return .nothing(record) }
        if recreates || record.spec != input.spec { record.beginGeneration(input.spec) }
        if recreates { record.recreateGeneration = record.generation }
        record.labels = input.labels
        record.disabledQueues = record.disabledQueues.filter(input.spec.queues.canDisable)
        record.updatedAt = max(.now(), record.updatedAt)
        return .update(record, from: old.record)
    }

    /// Marks a device for deletion; no change if it is marked already.
    package static func deletion(of old: DeviceRecord) -> DeviceChange {
        guard old.deletionRequestedAt == nil else { return .nothing(old) }
        var record = old
        record.updatedAt = max(.now(), record.updatedAt)
        record.deletionRequestedAt = record.updatedAt
        return .delete(record)
    }
}

// MARK: For the history

extension DeviceChange {
    /// Whether the wanted state of the device changes, not only its queues.
    var changesWantedState: Bool {
        switch self {
        case .create, .restore, .update, .delete: true
        case .queues, .nothing: false
        }
    }

    /// The event for the history; `nil` if there is none, or `QueueChange` provides it.
    package var event: (reason: EventReason, message: String)? {
        switch self {
        case .create: (.created, "the device was created")
        case .restore: (.restored, "the device was restored as it was before")
        case .update(let new, let old): (.updated, Self.summary(from: old, to: new))
        case .delete: (.deletionRequested, "deletion was requested")
        case .queues, .nothing: nil
        }
    }

    /// Lists the changed fields.
    private static func summary(from old: DeviceRecord, to new: DeviceRecord) -> String {
        var fields = new.spec == old.spec ? [] : new.spec.document.differences(from: old.spec.document)
        if new.labels != old.labels { fields.append("labels") }
        if new.recreateGeneration == new.generation { fields.append("the interface may be recreated") }
        return fields.isEmpty ? "the spec is unchanged" : "changed: " + fields.joined(separator: ", ")
    }
}

extension JSONValue {
    /// The paths at which an object differs from another of the same fields, such as `link.mtu`.
    fileprivate func differences(from other: JSONValue, below prefix: String = "") -> [String] {
        guard case .object(let new) = self, case .object(let old) = other else {
            return self == other ? [] : [prefix]
        }
        return Set(new.keys).union(old.keys).sorted().flatMap { key in
            (new[key] ?? .null).differences(from: old[key] ?? .null, below: prefix.isEmpty ? key : "\(prefix).\(key)")
        }
    }
}
