/// An integer that cannot be out of bounds.
public protocol BoundedInteger: Hashable, Comparable, Sendable {
    /// The valid values, both ends included.
    static var bounds: ClosedRange<Int> { get }
    /// What the number is, for error messages, such as `MTU in bytes`.
    static var quantity: String { get }

    /// In the unit that `quantity` names.
    var value: Int { get }
    /// For values known to be within `bounds`; does not check.
    init(unchecked value: Int)
}

extension BoundedInteger {
    /// - Throws: `ValidationError` if `value` is outside `bounds`.
    public init(_ value: Int) throws(ValidationError) {
        guard Self.bounds.contains(value) else {
            throw ValidationError(
                "the \(Self.quantity) is \(value), but must lie between \(Self.bounds.lowerBound) and "
                    + "\(Self.bounds.upperBound)")
        }
        self.init(unchecked: value)
    }

    /// Numeric order.
    public static func < (left: Self, right: Self) -> Bool {
        left.value < right.value
    }
}

/// The number of queues of a device. The kernel has 256 places (`MAX_TAP_QUEUES`); one stays free for an anchor.
public struct QueueCount: BoundedInteger {
    /// The upper bound is `MAX_TAP_QUEUES` less the anchor.
    public static let bounds = 1...255
    /// For error messages.
    public static let quantity = "number of queues"
    /// The number of queues.
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    /// The default of a spec.
    public static let one = QueueCount(unchecked: 1)
}

/// A device's MTU in bytes, without the Ethernet header. The maximum also depends on the kind (`DeviceKind.mtuMax`).
public struct MTU: BoundedInteger {
    /// In bytes: `ETH_MIN_MTU` and `ETH_MAX_MTU` (`linux/if_ether.h`).
    public static let bounds = 68...65_535
    /// For error messages.
    public static let quantity = "MTU in bytes"
    /// In bytes.
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    /// The default of both kinds.
    public static let ethernet = MTU(unchecked: 1_500)
}

/// The size in bytes of the virtio-net header before each packet (`TUNSETVNETHDRSZ`). The kernel has no upper bound;
/// 64 is our own, since the largest header that virtio defines has 24 bytes.
public struct VnetHeaderSize: BoundedInteger {
    /// In bytes; the lower bound is `sizeof(struct virtio_net_hdr)`.
    public static let bounds = 10...64
    /// For error messages.
    public static let quantity = "vnet header size in bytes"
    /// In bytes.
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    /// `sizeof(struct virtio_net_hdr_mrg_rxbuf)`, which modern virtio-net uses.
    public static let mergeable = VnetHeaderSize(unchecked: 12)
}

/// The capacity in packets of each queue's ring (`IFLA_TXQLEN`). It costs eight bytes of kernel memory per packet.
public struct TransmitQueueLength: BoundedInteger {
    /// In packets; the upper bound is ours, to limit the memory.
    public static let bounds = 1...65_536
    /// For error messages.
    public static let quantity = "transmit queue length in packets"
    /// In packets.
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    /// The default of a tap in the kernel, and of a spec.
    public static let standard = TransmitQueueLength(unchecked: 1_000)
}

/// The largest packet in bytes, headers included, that the stack hands to an interface unsegmented
/// (`IFLA_GSO_MAX_SIZE`, `IFLA_GSO_IPV4_MAX_SIZE`).
///
/// The kernel refuses more than the driver's `tso_max_size`, which tun leaves at `GSO_LEGACY_MAX_SIZE`
/// (`linux/netdevice.h`). Since Linux 6.12 it refuses less than `MAX_TCP_HEADER + 1`, which is 193 to 385 depending on
/// the kernel's configuration. Older kernels accept less and then compute negative sizes. Our lower bound is above all
/// of these.
public struct GSOMaxBytes: BoundedInteger {
    /// In bytes.
    public static let bounds = 512...65_536
    /// For error messages.
    public static let quantity = "largest GSO packet in bytes"
    /// In bytes.
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
    /// The kernel's value for a new tap or tun.
    public static let standard = GSOMaxBytes(unchecked: 65_536)
}

/// The socket send buffer in bytes (`TUNSETSNDBUF`): how much written data may wait for the host's network stack.
public struct SendBufferBytes: BoundedInteger {
    /// In bytes: the positive values of the C `int` that the call accepts.
    public static let bounds = 1...Int(Int32.max)
    /// For error messages.
    public static let quantity = "send buffer in bytes"
    /// In bytes.
    public let value: Int
    public init(unchecked value: Int) { self.value = value }
}
