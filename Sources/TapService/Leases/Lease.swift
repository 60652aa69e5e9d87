internal import Logging
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem

/// Queues in somebody's hands. Used on the worker's thread only.
final class Lease {
    /// As many descriptors as a message takes; the kernel's own limit is 253 (`SCM_MAX_FD`).
    static let queuesPerMessageMax = 250

    let id: LeaseIdentifier
    let device: DeviceName
    /// The device's: another one of its name may come.
    let identifier: String
    let place: LeasePlace
    let consumer: ConsumerName?
    let process: Int32
    let user: UInt32
    let group: UInt32
    let since: Timestamp
    /// By index.
    var queues: [Int: any KernelQueue] = [:]
    /// Nothing until 101 has been sent.
    var connection: (any KernelConnection)?
    /// How many queues the service manager has copies of, with the connection; nothing when it was not asked to.
    var keptQueues: Int?

    init(_ entry: Ledger.Entry) {
        id = entry.id
        device = entry.device
        identifier = entry.identifier
        place = entry.place
        consumer = entry.consumer
        process = entry.process
        user = entry.user
        group = entry.group
        since = entry.since
    }

    init(_ request: LeaseRequest, of identifier: DeviceIdentifier, at place: LeasePlace, since: Timestamp) {
        id = .random()
        device = request.device
        self.identifier = identifier.text
        self.place = place
        consumer = request.consumer
        process = request.peer.process
        user = request.peer.user
        group = request.peer.group
        self.since = since
    }

    var indexes: [Int] { queues.keys.sorted() }

    /// Whether it may last while the device is stated so.
    func canGoOn(with record: DeviceRecord) -> Bool {
        record.identifier.text == identifier && record.spec.access == .brokered
            && indexes.allSatisfy(record.queues.contains)
    }

    /// What the service manager calls its descriptors.
    var keptName: String { "lease-" + id.text }

    /// The lines of the hand-over, each with its queues.
    func messages(vnetHeaderSize: Int?, networkNamespace: NetworkNamespace?) -> [([UInt8], [any KernelQueue])] {
        let parts = indexes.chunked(Self.queuesPerMessageMax)
        return parts.enumerated().map { position, part in
            let message = LeaseMessage(
                lease: id, device: device, index: place.index, networkNamespace: networkNamespace,
                vnetHeaderSize: vnetHeaderSize, queues: part, isLast: position == parts.count - 1)
            return (message.line, part.compactMap { queues[$0] })
        }
    }

    var metadata: Logger.Metadata {
        [
            "lease": "\(id)", "device": "\(device)", "consumer": "\(consumer?.text ?? "")", "pid": "\(process)",
            "uid": "\(user)", "queues": "\(indexes.map(String.init).joined(separator: ","))",
        ]
    }
}

/// The interface whose queues they are.
struct LeasePlace: Hashable, Sendable {
    /// The namespace's cookie.
    let namespace: UInt64
    let index: LinkIndex

    init(namespace: UInt64, index: LinkIndex) {
        self.namespace = namespace
        self.index = index
    }

    /// Nothing when the device has no interface now.
    init?(_ claim: Claim?) {
        guard let claim, !claim.isLost else { return nil }
        self.init(namespace: claim.host.namespace, index: claim.index)
    }
}
