internal import HashTreeCollections
package import TapCore
package import TapDocument
package import TapStore

/// A change of queue assignments, or of whether a queue is enabled. Decided without the database, the kernel or the
/// clock.
package struct QueueChange: Sendable {
    /// The record before the change.
    package let before: DeviceRecord
    /// The record after the change.
    package private(set) var record: DeviceRecord
    /// The event for the history; `nil` if nothing changes.
    package private(set) var event: (reason: EventReason, message: String, at: Timestamp)?

    private init(_ record: DeviceRecord) {
        before = record
        self.record = record
    }

    private mutating func setEvent(_ reason: EventReason, _ message: String, at now: Timestamp) {
        event = (reason, message, now)
    }
}

extension DeviceRecord {
    /// All queue indexes of the device.
    package var queues: Range<Int> { 0..<spec.queues.count.value }

    /// The assignments of queues that `layout` does not have, by ascending index.
    package func assignments(beyond layout: QueueLayout) -> [(queue: Int, assignment: Assignment)] {
        assignments.filter { $0.key >= layout.count.value }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension QueueChange {
    /// Assigns one queue.
    ///
    /// - Returns: The change, and whether the queue was unassigned before.
    /// - Throws: `Refusal.queueTaken` if it is assigned to another consumer.
    package static func assign(
        _ queue: Int, of record: DeviceRecord, to wanted: Assignment
    ) throws(Refusal) -> (change: QueueChange, isNew: Bool) {
        var change = QueueChange(record)
        let old = record.assignments[queue]
        if let old, old.consumer != wanted.consumer { throw .queueTaken(record.name, queue: queue, old) }
        guard old?.cpus != wanted.cpus else { return (change, isNew: false) }
        // A change of CPUs keeps the time of the assignment.
        let assignment = Assignment(wanted, since: old?.assignedAt ?? wanted.assignedAt)
        change.record.assignments[queue] = assignment
        change.setEvent(.queueAssigned, "queue \(queue) \(assignment.summary)", at: wanted.assignedAt)
        return (change, isNew: old == nil)
    }

    /// Assigns `count` free queues, lowest index first, all or none. A queue that another consumer leases is not free.
    ///
    /// - Returns: The change, and the queues in ascending order.
    /// - Throws: `Refusal.tooFewQueues` if fewer are free.
    package static func assign(
        free count: QueueCount, of record: DeviceRecord, leases: [LeaseView], to wanted: Assignment
    ) throws(Refusal) -> (change: QueueChange, queues: [Int]) {
        let others = leases.filter { $0.consumer != wanted.consumer }
        let leasedByOthers = Set(others.flatMap(\.indexes))
        let free = record.queues.filter { record.assignments[$0] == nil && !leasedByOthers.contains($0) }
        guard free.count >= count.value else {
            throw .tooFewQueues(record.name, wanted: count.value, free: free.count, of: record.queues.count)
        }
        let queues = Array(free.prefix(count.value))
        var change = QueueChange(record)
        for queue in queues { change.record.assignments[queue] = wanted }
        let which = queues.count == 1 ? "queue \(queues[0])" : "queues \(queues.rangeList)"
        change.setEvent(.queueAssigned, "\(which) \(wanted.summary)", at: wanted.assignedAt)
        return (change, queues)
    }

    /// Ends the assignment of a queue.
    ///
    /// - Throws: `Refusal.assignmentNotFound` if it is unassigned.
    package static func release(_ queue: Int, of record: DeviceRecord, at now: Timestamp) throws(Refusal) -> QueueChange
    {
        guard let old = record.assignments[queue] else { throw .assignmentNotFound(record.name, queue: queue) }
        var change = QueueChange(record)
        change.record.assignments[queue] = nil
        change.setEvent(.queueReleased, "queue \(queue) is no longer assigned to \(old.consumer)", at: now)
        return change
    }

    /// Enables or disables a queue.
    ///
    /// - Throws: `Refusal.singleQueue` if it is the only queue of a device that is not multiqueue, which the kernel
    ///   cannot detach.
    package static func set(
        _ queue: Int, of record: DeviceRecord, enabled: Bool, at now: Timestamp
    ) throws(Refusal) -> QueueChange {
        guard record.spec.queues.canDisable(queue) else { throw .singleQueue(record.name) }
        var change = QueueChange(record)
        guard enabled == record.disabledQueues.contains(queue) else { return change }
        if enabled {
            change.record.disabledQueues.remove(queue)
            change.setEvent(.queueEnabled, "queue \(queue) was enabled: it is attached while it is leased", at: now)
        } else {
            change.record.disabledQueues.insert(queue)
            change.setEvent(.queueDisabled, "queue \(queue) was disabled: it is detached", at: now)
        }
        return change
    }
}

extension WriteGroup {
    /// The record of a device whose queues may change.
    ///
    /// - Throws: `Refusal.deviceNotFound`, or `.deviceDeleting`.
    package func changeableDevice(_ name: DeviceName) throws(Refusal) -> DeviceRecord {
        guard let record = devices[name]?.record else { throw .deviceNotFound(name.text) }
        guard record.deletionRequestedAt == nil else { throw .deviceDeleting(name) }
        return record
    }

    /// Writes a change of a device's queues, with its event.
    ///
    /// - Returns: The record after the change.
    /// - Throws: `Refusal.store`.
    package mutating func commit(_ change: QueueChange, by author: Author) throws(Refusal) -> DeviceRecord {
        guard let event = change.event else { return change.record }
        let commit = try commit([.queues(change.record, from: change.before)], by: author)
        record(
            EventRecord(
                at: event.at, device: change.record.name, reason: event.reason, message: event.message,
                author: author, revision: commit.revision))
        return commit.records[0]
    }
}

extension Assignment {
    fileprivate init(_ other: Assignment, since assignedAt: Timestamp) {
        self.init(consumer: other.consumer, cpus: other.cpus.map(CPUNumber.init(unchecked:)), assignedAt: assignedAt)
    }

    fileprivate var summary: String {
        "assigned to \(consumer)" + (cpus.isEmpty ? "" : " with the CPUs \(cpus.rangeList)")
    }
}

extension [Int] {
    /// Text such as `0-3, 7`; the numbers must be ascending.
    var rangeList: String {
        var runs: [ClosedRange<Int>] = []
        for number in self {
            if let last = runs.last, last.upperBound + 1 == number {
                runs[runs.count - 1] = last.lowerBound...number
            } else {
                runs.append(number...number)
            }
        }
        return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }
}
