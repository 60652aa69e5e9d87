package import Logging
package import TapCore
internal import TapDocument
internal import TapStore

/// A lease and what is open for it. Used on the worker's thread only.
package final class Lease: LeaseRecordHolder {
    /// As many descriptors as a message takes; the kernel's own limit is 253 (`SCM_MAX_FD`).
    static let queuesPerMessageMax = 250

    package let record: LeaseRecord
    /// By index.
    package var queues: [Int: any KernelQueue] = [:]
    /// `nil` until 101 has been sent.
    package var connection: (any KernelConnection)?
    /// How many queues the service manager has copies of, with the connection; `nil` when it was not asked to.
    var keptQueues: Int?

    init(_ record: LeaseRecord) {
        self.record = record
    }

    package var indexes: [Int] { queues.keys.sorted() }

    /// Those at the end of the kernel's order first: taken back so, they leave the other queues in their places.
    package func indexes(tailFirstIn order: QueueOrder<Int>) -> [Int] {
        queues.keys.map { ($0, order.kernelIndex(of: $0) ?? -1) }.sorted { $0.1 > $1.1 }.map(\.0)
    }

    /// Whether it may last while the device is stated so.
    func canGoOn(with device: DeviceRecord) -> Bool {
        device.identifier.text == record.identifier && device.spec.access == .brokered
            && indexes.allSatisfy(device.queues.contains)
    }

    /// What the service manager calls its descriptors.
    var keptName: String { "lease-" + record.id.text }

    /// The lines of the hand-over, each with its queues.
    package func messages(vnetHeaderSize: Int?, networkNamespace: NetworkNamespace?) -> [([UInt8], [any KernelQueue])] {
        let parts = indexes.chunked(Self.queuesPerMessageMax)
        return parts.enumerated().map { position, part in
            let message = LeaseMessage(
                lease: record.id, device: record.device, index: record.place.index, networkNamespace: networkNamespace,
                vnetHeaderSize: vnetHeaderSize, queues: part, isLast: position == parts.count - 1)
            return (message.line, part.compactMap { queues[$0] })
        }
    }

    package var metadata: Logger.Metadata {
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
