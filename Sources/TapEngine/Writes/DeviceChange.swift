package import TapCore
package import TapDocument
package import TapStore

/// What a statement comes to for one device.
package enum DeviceChange {
    case create(DeviceRecord)
    case update(DeviceRecord, from: DeviceRecord)
    /// It is gone, or marked for deletion, and shall be as it was, with its queues.
    case restore(DeviceRecord)
    /// Its queues change hands, or are enabled or disabled; the statement stays as it is, its revision included.
    case queues(DeviceRecord, from: DeviceRecord)
    /// It is marked for deletion, and else as it was.
    case delete(DeviceRecord)
    case nothing(DeviceRecord)

    package var record: DeviceRecord {
        switch self {
        case .create(let record), .update(let record, _), .restore(let record), .queues(let record, _),
            .delete(let record), .nothing(let record):
            record
        }
    }

    /// The leases that cannot go on with it; nothing when all can.
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
    /// A new device, or the change of an old one to what `input` says.
    ///
    /// - Parameters:
    ///   - old: The device as it is; nothing when there is none.
    ///   - input: What it shall be.
    ///   - recreate: Whether the interface may be made anew for a field that is fixed at its creation.
    /// - Returns: What is to be written.
    /// - Throws: `Refusal` when the device cannot become so.
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
        // A stranger may have changed what cannot be changed back.
        let isFixedInKernel = old.status[.ready]?.reason == EventReason.immutableField.rawValue
        let recreates = recreate && (!fixed.isEmpty || isFixedInKernel)
        guard recreates || record.spec != input.spec || record.labels != input.labels else { return .nothing(record) }
        if recreates || record.spec != input.spec { record.generation += 1 }
        if recreates { record.recreateGeneration = record.generation }
        record.spec = input.spec
        record.labels = input.labels
        record.disabledQueues = record.disabledQueues.filter(input.spec.queues.canDisable)
        record.updatedAt = max(.now(), record.updatedAt)
        return .update(record, from: old.record)
    }

    /// The same device, marked for deletion; nothing new where it is.
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
    /// Whether another thing is stated then.
    var changesStatement: Bool {
        switch self {
        case .create, .restore, .update, .delete: true
        case .queues, .nothing: false
        }
    }

    /// For people; nothing where somebody else tells it.
    package var event: (reason: EventReason, message: String)? {
        switch self {
        case .create: (.created, "the device is stated")
        case .restore: (.restored, "the device is stated again, as it was")
        case .update(let new, let old): (.updated, Self.words(from: old, to: new))
        case .delete: (.deletionRequested, "the device shall be deleted")
        case .queues, .nothing: nil
        }
    }

    /// Which fields the statement changes.
    private static func words(from old: DeviceRecord, to new: DeviceRecord) -> String {
        var fields = new.spec == old.spec ? [] : new.spec.document.differences(from: old.spec.document)
        if new.labels != old.labels { fields.append("labels") }
        if new.recreateGeneration == new.generation { fields.append("the interface may be made anew") }
        return fields.isEmpty ? "the statement is the same" : "changed: " + fields.joined(separator: ", ")
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
