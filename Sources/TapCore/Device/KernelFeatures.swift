/// The features of the running kernel's tun driver (`TUNGETFEATURES`).
public struct KernelFeatures: OptionSet, Hashable, Sendable {
    /// The kernel's own `IFF_` bits of `linux/if_tun.h`.
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// `IFF_TUN`, since Linux 2.4.
    public static let tun = KernelFeatures(rawValue: 0x0001)
    /// `IFF_TAP`, since Linux 2.4.
    public static let tap = KernelFeatures(rawValue: 0x0002)
    /// `IFF_NAPI`, since Linux 4.15.
    public static let napi = KernelFeatures(rawValue: 0x0010)
    /// `IFF_NAPI_FRAGS`, since Linux 4.15.
    public static let napiFrags = KernelFeatures(rawValue: 0x0020)
    /// `IFF_MULTI_QUEUE`, since Linux 3.8.
    public static let multiQueue = KernelFeatures(rawValue: 0x0100)
    /// `IFF_VNET_HDR`, since Linux 2.6.27.
    public static let vnetHeader = KernelFeatures(rawValue: 0x4000)

    /// Every feature that a spec can need.
    public static let all: KernelFeatures = [.tun, .tap, .napi, .napiFrags, .multiQueue, .vnetHeader]

    /// Each field of the spec that this kernel does not support, with the reason.
    public func refusals(of spec: DeviceSpec) -> [SpecContradictions.Contradiction] {
        let needs: [(DeviceField, KernelFeatures, since: String, isWanted: Bool)] = [
            (.kind, spec.kind == .tap ? .tap : .tun, "2.4", true),
            (.multiQueue, .multiQueue, "3.8", spec.queues.isMultiple),
            (.vnetHeader, .vnetHeader, "2.6.27", spec.vnetHeader),
            (.napi, .napi, "4.15", spec.napi),
            (.napiFrags, .napiFrags, "4.15", spec.napiFrags),
        ]
        return needs.filter { $0.isWanted && !contains($0.1) }.map { need in
            .init(
                need.0,
                "the running kernel's tun driver does not support this (TUNGETFEATURES); Linux does since \(need.since)"
            )
        }
    }
}
