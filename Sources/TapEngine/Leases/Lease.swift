package import Logging
package import TapCore
internal import TapDocument
package import TapStore
internal import TapSystem

/// Queues in somebody's hands. Used on the worker's thread only.
package final class Lease {
    /// As many descriptors as a message takes; the kernel's own limit is 253 (`SCM_MAX_FD`).
    package static let queuesPerMessageMax = 250

    package let id: LeaseIdentifier
    package let device: DeviceName
    /// The device's: another one of its name may come.
    package let identifier: String
    package let place: LeasePlace
    package let consumer: ConsumerName?
    package let process: Int32
    package let user: UInt32
    package let group: UInt32
    package let since: Timestamp
    /// By index.
    package var queues: [Int: any KernelQueue] = [:]
    /// Nothing until 101 has been sent.
    package var connection: (any KernelConnection)?
    /// How many queues the service manager has copies of, with the connection; nothing when it was not asked to.
    package var keptQueues: Int?

    package init(_ entry: Ledger.Entry) {
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

    package init(_ request: LeaseRequest, of identifier: DeviceIdentifier, at place: LeasePlace, since: Timestamp) {
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

    package var indexes: [Int] { queues.keys.sorted() }

    /// Whether it may last while the device is stated so.
    package func canGoOn(with record: DeviceRecord) -> Bool {
        record.identifier.text == identifier && record.spec.access == .brokered
            && indexes.allSatisfy(record.queues.contains)
    }

    /// What the service manager calls its descriptors.
    package var keptName: String { "lease-" + id.text }

    /// The lines of the hand-over, each with its queues.
    package func messages(vnetHeaderSize: Int?, networkNamespace: NetworkNamespace?) -> [([UInt8], [any KernelQueue])] {
        let parts = indexes.chunked(Self.queuesPerMessageMax)
        return parts.enumerated().map { position, part in
            let line: JSONValue = [
                "lease": .string(id.text), "device": .string(device.text),
                "ifindex": .integer(Int(place.index.rawValue)), "networkNamespace": JSONValue(networkNamespace?.text),
                "vnetHeaderSize": JSONValue(vnetHeaderSize), "queues": .array(part.map { .integer($0) }),
                "last": .bool(position == parts.count - 1),
            ]
            return (line.bytes + [UInt8(ascii: "\n")], part.compactMap { queues[$0] })
        }
    }

    package var metadata: Logger.Metadata {
        [
            "lease": "\(id)", "device": "\(device)", "consumer": "\(consumer?.text ?? "")", "pid": "\(process)",
            "uid": "\(user)", "queues": "\(indexes.map(String.init).joined(separator: ","))",
        ]
    }
}

/// The interface whose queues they are.
package struct LeasePlace: Hashable, Sendable {
    /// The namespace's cookie.
    package let namespace: UInt64
    package let index: LinkIndex

    package init(namespace: UInt64, index: LinkIndex) {
        self.namespace = namespace
        self.index = index
    }

    /// Nothing when the device has no interface now.
    package init?(_ claim: Claim?) {
        guard let claim, !claim.isLost else { return nil }
        self.init(namespace: claim.host.namespace, index: claim.index)
    }
}
