/// A whole number that only exists within its bounds.
public protocol BoundedInteger: Hashable, Comparable, Sendable {
    /// The values that exist, both ends included.
    static var bounds: ClosedRange<Int> { get }
    /// The word for it in an error, such as `MTU in bytes`.
    static var quantity: String { get }

    var value: Int { get }
    init(unchecked value: Int)
}

extension BoundedInteger {
    /// - Throws: `ValidationError` when `value` lies outside `bounds`.
    public init(_ value: Int) throws(ValidationError) {
        guard Self.bounds.contains(value) else {
            throw ValidationError(
                "the \(Self.quantity) is \(value), but must lie between \(Self.bounds.lowerBound) and "
                    + "\(Self.bounds.upperBound)")
        }
        self.init(unchecked: value)
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.value < right.value
    }
}

/// How many queues a device has. The kernel's table has 256 places (`MAX_TAP_QUEUES`); one stays free for an anchor.
public struct QueueCount: BoundedInteger {
    public static let bounds = 1...255
    public static let quantity = "number of queues"
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    public static let one = QueueCount(unchecked: 1)
}

/// A device's MTU in bytes, without the Ethernet header. Which part of the range holds depends on the kind.
public struct MTU: BoundedInteger {
    public static let bounds = 68...65_535
    public static let quantity = "MTU in bytes"
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    public static let ethernet = MTU(unchecked: 1_500)
}

/// The bytes of the virtio-net header in front of each packet (`TUNSETVNETHDRSZ`). The kernel has no upper bound,
/// so it is ours: the largest header that virtio knows has 24 bytes.
public struct VnetHeaderSize: BoundedInteger {
    public static let bounds = 10...64
    public static let quantity = "vnet header size in bytes"
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    /// `sizeof(struct virtio_net_hdr_mrg_rxbuf)`, what modern virtio-net uses.
    public static let mergeable = VnetHeaderSize(unchecked: 12)
}

/// Packets in each queue's ring (`IFLA_TXQLEN`). A ring costs eight bytes of kernel memory a packet.
public struct TransmitQueueLength: BoundedInteger {
    public static let bounds = 1...65_536
    public static let quantity = "transmit queue length in packets"
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    public static let standard = TransmitQueueLength(unchecked: 1_000)
}

/// The largest packet in bytes, headers included, that the stack hands to an interface unsegmented
/// (`IFLA_GSO_MAX_SIZE`, `IFLA_GSO_IPV4_MAX_SIZE`).
///
/// The kernel refuses more than the driver's `tso_max_size`, which tun leaves at `GSO_LEGACY_MAX_SIZE`
/// (`linux/netdevice.h`). Since Linux 6.12 it refuses less than `MAX_TCP_HEADER + 1`, which is 193 to 385 by its
/// configuration; older kernels take less, and compute with negative sizes then. Our lower bound is above all of these.
public struct GSOMaxBytes: BoundedInteger {
    public static let bounds = 512...65_536
    public static let quantity = "largest GSO packet in bytes"
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    /// Of a new tap or tun.
    public static let standard = GSOMaxBytes(unchecked: 65_536)
}

/// The socket send buffer in bytes (`TUNSETSNDBUF`): how much a consumer may write before the host has taken it.
public struct SendBufferBytes: BoundedInteger {
    public static let bounds = 1...Int(Int32.max)
    public static let quantity = "send buffer in bytes"
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
}
