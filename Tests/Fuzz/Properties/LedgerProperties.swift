import TapCore

@testable import TapEngine

/// A lease journal of any bytes can be read and continued; read again, it has the same leases and the new one.
func checkLedger(_ bytes: [UInt8]) throws(BrokenProperty) {
    let memory = Memory(bytes)
    var ledger = LeaseJournal(memory)
    let said = ledger.read()
    for (id, entry) in said.leases { try hold(entry.id == id, "a lease has another one's key") }
    guard let entry = said.leases.values.min(by: { $0.id < $1.id }) else { return }
    do {
        try ledger.begin(entry, order: entry.queues)
    } catch {
        throw BrokenProperty(description: "the journal cannot be continued: \(error)")
    }
    var next = LeaseJournal(Memory(memory.contents))
    var expected = said
    expected.orders[entry.device] = entry.queues.isEmpty ? nil : entry.queues
    // A rewritten journal has no orders of devices without a lease.
    let leased = Set(expected.leases.values.map(\.device))
    let again = next.read()
    try hold(again.leases == expected.leases, "the leases differ: \(again.leases)")
    for device in leased {
        try hold(again.orders[device] == expected.orders[device], "the order of \(device) differs")
    }
}

/// A fake `KernelMemory`, which ends with the process.
private final class Memory: KernelMemory {
    private(set) var contents: [UInt8]

    init(_ contents: [UInt8]) { self.contents = contents }

    func append(_ bytes: [UInt8]) { contents += bytes }
    func replace(with bytes: [UInt8]) { contents = bytes }
}
