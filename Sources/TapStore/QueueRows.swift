internal import GRDB
internal import TapCore
internal import TapDocument

/// Reads and writes a device record's queues as rows of `queue_assignment` and `disabled_queue`.
enum QueueRows {
    /// Adds the queues to the records of their devices, with two queries for any number of devices.
    static func attach(_ database: Database, to records: inout [DeviceRecord]) throws {
        var assignments: [String: [Int: Assignment]] = [:]
        let rows = try Row.fetchCursor(
            database, sql: "SELECT device, queue, consumer, cpus, assigned_at, digest FROM queue_assignment")
        while let row = try rows.next() { assignments[row[0], default: [:]][row[1]] = try decode(row) }
        var disabled: [String: Set<Int>] = [:]
        let marks = try Row.fetchCursor(database, sql: "SELECT device, queue, digest FROM disabled_queue")
        while let row = try marks.next() {
            try RowDigest.check(row[2], is: RowDigest.of(row[0] as String, "\(row[1] as Int)"))
            disabled[row[0], default: []].insert(row[1])
        }
        guard !assignments.isEmpty || !disabled.isEmpty else { return }
        for position in records.indices {
            let name = records[position].name.text
            records[position].assignments = assignments[name] ?? [:]
            records[position].disabledQueues = disabled[name] ?? []
        }
    }

    /// Writes what differs from `old`; if that is `nil`, all.
    static func save(_ database: Database, _ record: DeviceRecord, replacing old: DeviceRecord?) throws {
        let name = record.name.text
        let (before, after) = (old?.assignments ?? [:], record.assignments)
        if before != after {
            for queue in before.keys where after[queue] == nil {
                try database.cachedStatement(sql: "DELETE FROM queue_assignment WHERE device = ? AND queue = ?")
                    .execute(arguments: [name, queue])
            }
            for (queue, assignment) in after where before[queue] != assignment {
                try save(database, assignment, name, queue)
            }
        }
        let (marked, marks) = (old?.disabledQueues ?? [], record.disabledQueues)
        for queue in marked.subtracting(marks) {
            try database.cachedStatement(sql: "DELETE FROM disabled_queue WHERE device = ? AND queue = ?")
                .execute(arguments: [name, queue])
        }
        for queue in marks.subtracting(marked) {
            try database.cachedStatement(
                sql: "INSERT OR REPLACE INTO disabled_queue (device, queue, digest) VALUES (?, ?, ?)"
            ).execute(arguments: [name, queue, RowDigest.of(name, "\(queue)")])
        }
    }

    private static func save(_ database: Database, _ assignment: Assignment, _ name: String, _ queue: Int) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO queue_assignment (device, queue, consumer, cpus, assigned_at, digest)
                VALUES (?, ?, ?, ?, ?, ?)
                """)
        let (consumer, assignedAt) = (assignment.consumer.text, assignment.assignedAt.microseconds)
        let cpus = JSONValue.array(assignment.cpus.map { .integer($0) }).text
        try statement.execute(arguments: [
            name, queue, consumer, cpus, assignedAt, digest(name, queue, consumer, cpus, assignedAt),
        ])
    }

    private static func digest(
        _ name: String, _ queue: Int, _ consumer: String, _ cpus: String, _ assignedAt: Int64
    ) -> Int64 {
        RowDigest.of(name, "\(queue)", consumer, cpus, "\(assignedAt)")
    }

    private static func decode(_ row: Row) throws -> Assignment {
        do {
            let cpus: String = row[3]
            try RowDigest.check(row[5], is: digest(row[0], row[1], row[2], cpus, row[4]))
            return try Assignment(
                consumer: row[2], cpus: JSONValue(parsing: Array(cpus.utf8)),
                assignedAt: Timestamp(microseconds: row[4]))
        } catch {
            throw StoreError.failed(
                detail: "the assignment of queue \(row[1] as Int) of '\(row[0] as String)' cannot be read: \(error)")
        }
    }
}

/// A device's assignments as an apply on trial stores them, as JSON.
extension [Int: Assignment] {
    /// `nil` if empty.
    var stored: JSONValue? {
        guard !isEmpty else { return nil }
        return .array(
            sorted { $0.key < $1.key }.map { queue, assignment in
                [
                    "queue": .integer(queue), "consumer": .string(assignment.consumer.text),
                    "cpus": .array(assignment.cpus.map { .integer($0) }),
                    "assignedAt": .integer(Int(assignment.assignedAt.microseconds)),
                ]
            })
    }

    init(stored document: JSONValue) throws {
        self.init()
        for element in document.elements {
            guard case .integer(let queue)? = element["queue"], case .string(let consumer)? = element["consumer"],
                let cpus = element["cpus"], case .integer(let assignedAt)? = element["assignedAt"]
            else { throw StoreError.failed(detail: "'\(element.text)' is not an assignment") }
            self[queue] = try Assignment(
                consumer: consumer, cpus: cpus, assignedAt: Timestamp(microseconds: Int64(assignedAt)))
        }
    }
}

extension Set<Int> {
    /// `nil` if empty.
    var stored: JSONValue? { isEmpty ? nil : .array(sorted().map { .integer($0) }) }

    init(stored document: JSONValue) throws {
        self = Set(try document.elements.map { try $0.number })
    }
}

extension Assignment {
    fileprivate init(consumer: String, cpus: JSONValue, assignedAt: Timestamp) throws {
        self.init(
            consumer: try ConsumerName(consumer), cpus: try cpus.elements.map { try CPUNumber($0.number) },
            assignedAt: assignedAt)
    }
}

extension JSONValue {
    fileprivate var elements: [JSONValue] {
        if case .array(let elements) = self { elements } else { [] }
    }

    fileprivate var number: Int {
        get throws {
            guard case .integer(let number) = self else { throw StoreError.failed(detail: "'\(text)' is not a number") }
            return number
        }
    }
}
