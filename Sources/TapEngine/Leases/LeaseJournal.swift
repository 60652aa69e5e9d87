internal import TapCore
internal import TapDocument
internal import TapStore

/// A journal of leases for the next daemon process, which inherits their descriptors from the service manager. It is
/// JSON lines in memory that outlives the process. Without a service manager no memory outlives the process, and
/// nothing is written.
struct LeaseJournal {
    /// The journal is compacted when it is longer than this many times its compacted form.
    private static let slackMax = 4
    /// Below this size, in bytes, the journal is not compacted.
    private static let bytesMin = 64 << 10

    /// A lease that is handed over.
    struct Entry: LeaseRecordHolder, Hashable {
        let record: LeaseRecord
        /// Queue indexes, in the order in which the service manager keeps their descriptors.
        let queues: [Int]
    }

    /// The state that results from all lines of the journal.
    struct Contents: Hashable {
        var leases: [LeaseIdentifier: Entry] = [:]
        /// The kernel's order of each device's queues, where it is known.
        var orders: [DeviceName: [Int]] = [:]
    }

    private let memory: (any KernelMemory)?
    private var contents = Contents()
    private var bytes = 0
    /// Approximate size of the compacted journal.
    private var bytesNeeded = 0

    init(_ memory: (any KernelMemory)?) {
        self.memory = memory
    }

    /// Reads what the previous process wrote. Incomplete and unknown lines are skipped.
    mutating func read() -> Contents {
        guard let memory else { return contents }
        let text = memory.contents
        bytes = text.count
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let document = try? JSONValue(parsing: Array(line)) else { continue }
            contents.apply(document)
        }
        return contents
    }

    /// Records a lease that has been handed over.
    mutating func begin(_ entry: Entry, order: [Int]?) throws(KernelError) {
        try write(["lease": entry.document, "order": order.document], about: entry.device)
    }

    /// Records the kernel's order of a device's queues; `nil` if it is unknown.
    mutating func reorder(_ device: DeviceName, _ order: [Int]?) throws(KernelError) {
        try write(["order": order.document], about: device)
    }

    /// Records the end of a lease. The device's queue order is unknown until the next `reorder`.
    mutating func end(_ lease: LeaseIdentifier, of device: DeviceName) throws(KernelError) {
        try write(["ended": .string(lease.text), "order": .null], about: device)
    }

    private mutating func write(_ members: [String: JSONValue], about device: DeviceName) throws(KernelError) {
        guard let memory else { return }
        var members = members
        members["device"] = .string(device.text)
        let document = JSONValue.object(members)
        contents.apply(document)
        let line = document.line
        if bytes + line.count > max(Self.bytesMin, bytesNeeded * Self.slackMax) {
            let whole = contents.lines
            try memory.replace(with: whole)
            (bytes, bytesNeeded) = (whole.count, whole.count)
        } else {
            try memory.append(line)
            bytes += line.count
        }
    }
}

extension LeaseJournal.Contents {
    fileprivate mutating func apply(_ line: JSONValue) {
        guard case .string(let name)? = line["device"], let device = try? DeviceName(name) else { return }
        if let entry = LeaseJournal.Entry(line["lease"], device: device) { leases[entry.id] = entry }
        if case .string(let id)? = line["ended"], let id = LeaseIdentifier(id) { leases[id] = nil }
        orders[device] = line["order"]?.integers
        if orders[device]?.isEmpty == true { orders[device] = nil }
    }

    fileprivate var lines: [UInt8] {
        leases.values.flatMap { entry in
            let order = orders[entry.device]
            return JSONValue.object([
                "device": .string(entry.device.text), "lease": entry.document, "order": order.document,
            ]).line
        }
    }
}

extension LeaseJournal.Entry {
    init(_ lease: Lease) {
        self.init(record: lease.record, queues: lease.indexes)
    }

    fileprivate init?(_ document: JSONValue?, device: DeviceName) {
        guard let document, case .string(let id)? = document["id"], let id = LeaseIdentifier(id),
            case .string(let identifier)? = document["uid"],
            case .string(let namespace)? = document["namespace"], let namespace = UInt64(namespace, radix: 16),
            let index = document["ifindex"]?.integer.flatMap(Int32.init(exactly:)),
            let process = document["pid"]?.integer.flatMap(Int32.init(exactly:)),
            let user = document["user"]?.integer.flatMap(UInt32.init(exactly:)),
            let group = document["group"]?.integer.flatMap(UInt32.init(exactly:)),
            let since = document["since"]?.integer, let queues = document["queues"]?.integers
        else { return nil }
        var consumer: ConsumerName?
        if case .string(let text)? = document["consumer"] { consumer = try? ConsumerName(text) }
        // Missing in journals of earlier versions.
        var userName: String?
        if case .string(let text)? = document["userName"] { userName = text }
        var command: String?
        if case .string(let text)? = document["command"] { command = text }
        self.init(
            record: LeaseRecord(
                id: id, device: device, identifier: identifier,
                place: LeasePlace(namespace: namespace, index: LinkIndex(rawValue: index)), consumer: consumer,
                process: process, user: user, group: group, userName: userName, command: command,
                since: Timestamp(microseconds: Int64(since))),
            queues: queues)
    }

    fileprivate var document: JSONValue {
        [
            "id": .string(record.id.text), "uid": .string(record.identifier),
            "namespace": .string(String(record.place.namespace, radix: 16)),
            "ifindex": .integer(Int(record.place.index.rawValue)), "consumer": JSONValue(record.consumer?.text),
            "pid": .integer(Int(record.process)), "user": .integer(Int(record.user)),
            "group": .integer(Int(record.group)), "userName": JSONValue(record.userName),
            "command": JSONValue(record.command), "since": .integer(Int(record.since.microseconds)),
            "queues": .array(queues.map { .integer($0) }),
        ]
    }
}

extension JSONValue {
    fileprivate var integer: Int? { if case .integer(let value) = self { value } else { nil } }

    fileprivate var integers: [Int]? {
        guard case .array(let values) = self else { return nil }
        let integers = values.compactMap(\.integer)
        return integers.count == values.count ? integers : nil
    }

    /// Ends with a line feed, and begins with one, so that it stays separate from an incomplete line before it.
    fileprivate var line: [UInt8] { [UInt8(ascii: "\n")] + bytes + [UInt8(ascii: "\n")] }
}

extension [Int]? {
    fileprivate var document: JSONValue { map { .array($0.map { .integer($0) }) } ?? .null }
}
