import TapCore

@testable import TapEngine

/// A journal of any bytes is read, what it says is written on, and read again it says that.
func checkLedger(_ bytes: [UInt8]) throws(BrokenProperty) {
    let memory = Memory(bytes)
    var ledger = LeaseJournal(memory)
    let said = ledger.read()
    for (id, entry) in said.leases { try hold(entry.id == id, "a lease under another's name") }
    guard let entry = said.leases.values.min(by: { $0.id < $1.id }) else { return }
    do {
        try ledger.begin(entry, order: entry.queues)
    } catch {
        throw BrokenProperty(description: "it cannot be written on: \(error)")
    }
    var next = LeaseJournal(Memory(memory.contents))
    var expected = said
    expected.orders[entry.device] = entry.queues.isEmpty ? nil : entry.queues
    // Written anew, it leaves out the orders of devices without a lease.
    let leased = Set(expected.leases.values.map(\.device))
    let again = next.read()
    try hold(again.leases == expected.leases, "other leases are read: \(again.leases)")
    for device in leased {
        try hold(again.orders[device] == expected.orders[device], "another order of \(device) is read")
    }
}

/// Memory that outlives no process.
private final class Memory: KernelMemory {
    private(set) var contents: [UInt8]

    init(_ contents: [UInt8]) { self.contents = contents }

    func append(_ bytes: [UInt8]) { contents += bytes }
    func replace(with bytes: [UInt8]) { contents = bytes }
}
