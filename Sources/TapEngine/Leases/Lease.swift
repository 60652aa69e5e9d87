internal import Logging
internal import TapCore
internal import TapDocument
internal import TapStore

/// A lease with its open descriptors. Used on the worker's thread only.
final class Lease: LeaseRecordHolder {
    /// The most descriptors in one message; the kernel's limit is 253 (`SCM_MAX_FD`).
    static let queuesPerMessageMax = 250

    /// What does not change during the lease.
    let record: LeaseRecord
    /// The queue indexes that were granted, ascending.
    let granted: [Int]
    /// The open queues, by queue index.
    var queues: [Int: any KernelQueue] = [:]
    /// The client's connection; `nil` until status 101 has been sent.
    var connection: (any KernelConnection)?
    /// The number of queues of which the service manager holds copies, besides the connection; `nil` if it was not
    /// asked to.
    var keptQueues: Int?
    /// Whether the service manager, if there is one, was given all that the next process needs to go on with the lease.
    var isKept = false

    init(_ record: LeaseRecord, of granted: [Int]) {
        self.record = record
        self.granted = granted
    }

    /// The indexes of the leased queues, ascending.
    var indexes: [Int] { queues.keys.sorted() }

    /// The queue indexes, last in the kernel's order first: detached in this order, they leave the other queues in
    /// place (the kernel moves the last queue into a gap).
    func indexes(tailFirstIn order: QueueOrder<Int>) -> [Int] {
        queues.keys.map { ($0, order.kernelIndex(of: $0) ?? -1) }.sorted { $0.1 > $1.1 }.map(\.0)
    }

    /// Whether the lease may continue with this version of the device.
    func canContinue(with device: DeviceRecord) -> Bool {
        device.identifier.text == record.identifier && device.spec.access == .brokered
            && indexes.allSatisfy(device.queues.contains)
    }

    /// The name under which the service manager keeps the descriptors (`FDNAME`, sd_notify(3)).
    var keptName: String { "lease-" + record.id.text }

    /// The messages that hand the queues over: each a line and the queues whose descriptors go with it.
    func messages(vnetHeaderSize: Int?, networkNamespace: NetworkNamespace?) -> [([UInt8], [any KernelQueue])] {
        let parts = indexes.chunked(Self.queuesPerMessageMax)
        return parts.enumerated().map { position, part in
            let message = LeaseMessage(
                lease: record.id, device: record.device, index: record.place.index, networkNamespace: networkNamespace,
                vnetHeaderSize: vnetHeaderSize, queues: part, isLast: position == parts.count - 1)
            return (message.line, part.compactMap { queues[$0] })
        }
    }

    /// Log metadata that identifies the lease.
    var metadata: Logger.Metadata {
        [
            "lease": "\(record.id)", "device": "\(record.device)", "consumer": "\(record.consumer?.text ?? "")",
            "pid": "\(record.process)", "uid": "\(record.user)",
            "queues": "\(indexes.map(String.init).joined(separator: ","))",
        ]
    }
}

extension LeaseView {
    init(_ lease: Lease, order: QueueOrder<Int>) {
        let queues = lease.queues.keys.map { index in
            (index, Queue(isAttached: order.attached.contains(index), kernelIndex: order.kernelIndex(of: index)))
        }
        self.init(record: lease.record, queues: Dictionary(uniqueKeysWithValues: queues))
    }
}
